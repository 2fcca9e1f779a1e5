"""The admin site: Django's, under our name."""

from typing import Any

from django.contrib import admin


class AdminSite(admin.AdminSite):
    site_header = "Snipix administration"
    site_title = "Snipix"
    index_title = "What is stored"
    site_url = "/api/v1/projects/"

    def get_urls(self) -> list[Any]:
        # None of our documents has a page of its own to view, and Django's redirect to such pages
        # fails on ids that aren't ObjectIds.
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
