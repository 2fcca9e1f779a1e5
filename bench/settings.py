"""Snipix with constant answers beside its own, to compare its reads with; see `bench/urls.py`."""

from snipix.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
