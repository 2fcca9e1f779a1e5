"""This thread's connection, as what it is: the MongoDB backend's.

Django's own type for it knows neither collections nor sessions.
"""

from typing import Any

from django.db import connection as _connection

connection: Any = _connection
