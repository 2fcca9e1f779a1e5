"""Python runs this first in every process that tests start: see `tests.servers`.

A process that ends looks for garbage among all that it has loaded, which takes a third of the time
of a short command. Its memory goes with it anyway.
"""

import atexit
import gc

atexit.register(gc.freeze)
