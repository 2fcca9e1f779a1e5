#!/usr/bin/env python
"""Django's command line for Snipix."""

import atexit
import gc
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
    # A process that ends looks for garbage among all that it has loaded: a fifth of the time of a
    # short command, for memory that goes with it anyway.
    atexit.register(gc.freeze)
    execute_from_command_line(sys.argv)
