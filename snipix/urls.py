"""All addresses. The API answers with and without a trailing slash, and never redirects."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from snipix import health, metrics

urlpatterns = [
    path("api/v1/", include("projects.urls")),
    path("api/v1/", include("timelines.urls")),
    path("api/v1/", include("transcriptions.urls")),
    path("", include("media.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
    path(
        "api/redoc/", SpectacularRedocView.as_view(template_name="snipix/redoc.html"), name="redoc"
    ),
    re_path(r"^health/live/?$", health.live, name="health-live"),
    re_path(r"^health/ready/?$", health.ready, name="health-ready"),
    re_path(r"^metrics/?$", metrics.metrics_view, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("snipix.older.urls")),
]
handler400 = "snipix.errors.bad_request"
handler404 = "snipix.errors.page_not_found"
handler500 = "snipix.errors.server_error"
