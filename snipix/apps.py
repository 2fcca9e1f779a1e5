"""Snipix as a Django application, and Django's own applications with ObjectIds as keys."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig

_OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"


class SnipixConfig(AppConfig):
    name = "snipix"
    default_auto_field = _OBJECT_ID

    def ready(self) -> None:
        from snipix import checks, mongo, openapi  # noqa: F401 - these two register themselves

        mongo.write_conditions_flat()


class MongoAdminConfig(AdminConfig):
    default_auto_field = _OBJECT_ID
    default_site = "snipix.admin_site.AdminSite"


class MongoAuthConfig(AuthConfig):
    default_auto_field = _OBJECT_ID


class MongoContentTypesConfig(ContentTypesConfig):
    default_auto_field = _OBJECT_ID
