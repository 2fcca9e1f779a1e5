from django.urls import re_path
from rest_framework.routers import SimpleRouter

from projects.views import ProjectViewSet, TrashViewSet
from snipix import versions
from snipix.api import PROJECT_ID
from snipix.audit_views import AuditViewSet

router = SimpleRouter()
router.trailing_slash = "/?"  # the argument of SimpleRouter is only a switch
router.register("projects", ProjectViewSet, basename="project")
router.register("trash", TrashViewSet, basename="trash")
urlpatterns = [
    *router.urls,
    re_path(r"^audit/?$", AuditViewSet.as_view({"get": "list"}), name="audit"),
    *versions.routes(rf"^projects/(?P<project_id>{PROJECT_ID})", ProjectViewSet, "project"),
]
