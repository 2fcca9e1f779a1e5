"""Snipix's addresses and, beside them, a constant one.

Nothing of Snipix refers to this module, so that only a benchmark's server has the address.
"""

from django.urls import path

from bench.constant import constant
from snipix.urls import handler400, handler404, handler500
from snipix.urls import urlpatterns as snipix_urls

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

urlpatterns = [path("api/v1/constant/", constant), *snipix_urls]
