from rest_framework.routers import SimpleRouter

from projects.views import ProjectViewSet
from snipix import versions
from snipix.api import PROJECT_ID

router = SimpleRouter()
router.trailing_slash = "/?"  # the argument of SimpleRouter is only a switch
router.register("projects", ProjectViewSet, basename="project")
urlpatterns = [
    *router.urls,
    *versions.routes(rf"^projects/(?P<project_id>{PROJECT_ID})", ProjectViewSet, "project"),
]
