from rest_framework.routers import SimpleRouter

from projects.views import ProjectViewSet

router = SimpleRouter()
router.trailing_slash = "/?"  # the argument of SimpleRouter is only a switch
router.register("projects", ProjectViewSet, basename="project")
urlpatterns = router.urls
