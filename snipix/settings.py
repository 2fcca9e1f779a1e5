"""Settings of Snipix: one file; whatever differs between places is an environment variable.

`.env.example` documents every variable. `snipix/checks.py` judges them at start.
"""

import warnings
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pymongo.monitoring import CommandListener, ConnectionPoolListener

from snipix import environment as env
from snipix import logs, metrics

BASE_DIR = Path(__file__).resolve().parent.parent
env.load(BASE_DIR / ".env")

DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY", "unset" if not DEBUG else "only-for-debugging")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = True
FORMAT_MODULE_PATH = "snipix.formats"

# --- Snipix itself ---------------------------------------------------------------------------

SNIPIX_AUTH = env.choice("SNIPIX_AUTH", "anonymous", ("anonymous", "accounts"))
MAX_BODY_BYTES = env.integer("MAX_BODY_BYTES", 8 * 1024 * 1024, at_least=64 * 1024)
MAX_STATE_BYTES = 15 * 1024 * 1024  # as JSON, and each part as BSON: MongoDB takes 16 MiB
MAX_VIDEO_BYTES = env.integer("MAX_VIDEO_BYTES", 2 * 1024**3, at_least=1)
PAGE_SIZE = env.integer("PAGE_SIZE", 50, at_least=1)
PAGE_SIZE_MAX = env.integer("PAGE_SIZE_MAX", 200, at_least=1)
BODY_TIMEOUT = env.seconds("BODY_TIMEOUT", 10, at_least=1)
REQUEST_DEADLINE = env.seconds("REQUEST_DEADLINE", 20, at_least=1)
LIMITS = {
    "reads": env.integer("READS_PER_MINUTE", 6_000),
    "changes": env.integer("CHANGES_PER_MINUTE", 1_200),
    "uploads": env.integer("UPLOADS_PER_MINUTE", 30),
    "guesses": env.integer("GUESSES_PER_MINUTE", 60),
}
STOP_DELAY = env.seconds("STOP_DELAY", 5)
SNIPIX_COMMIT = env.text("SNIPIX_COMMIT")
SLOW_OPERATION_MS = env.integer("SLOW_OPERATION_MS", 200, at_least=1)
TRASH_RETENTION_DAYS = env.integer("TRASH_RETENTION_DAYS", 30, at_least=1, at_most=20_000)
AUDIT_RETENTION_DAYS = env.integer("AUDIT_RETENTION_DAYS", 365, at_least=1, at_most=20_000)
DRAFT_RETENTION_DAYS = env.integer("DRAFT_RETENTION_DAYS", 14, at_least=1, at_most=20_000)
IDEMPOTENCY_RETENTION_DAYS = env.integer(
    "IDEMPOTENCY_RETENTION_DAYS", 30, at_least=1, at_most=20_000
)
MEDIA_ROOT = str(BASE_DIR / env.text("MEDIA_ROOT", ".data/media"))
MEDIA_ACCEL_PREFIX = env.text("MEDIA_ACCEL_PREFIX")
METRICS_TOKEN = env.text("METRICS_TOKEN")
WEB_CONCURRENCY = env.integer("WEB_CONCURRENCY", 2, at_least=1)  # gunicorn's workers …
WEB_THREADS = env.integer("WEB_THREADS", 8, at_least=1)  # … and the threads of each

# --- MongoDB ---------------------------------------------------------------------------------

MONGODB_URI = env.text("MONGODB_URI")
MONGODB_DATABASE = env.text("MONGODB_DATABASE", "snipix")
MONGODB_MIN_POOL_SIZE = env.integer("MONGODB_MIN_POOL_SIZE", 10)
MONGODB_MAX_POOL_SIZE = env.integer("MONGODB_MAX_POOL_SIZE", 20, at_least=1)
MONGODB_TIMEOUT = env.seconds("MONGODB_TIMEOUT", 3, at_least=0.1)
MONGODB_SOCKET_TIMEOUT = env.seconds("MONGODB_SOCKET_TIMEOUT", 15, at_least=0.1)

_listeners: list[CommandListener | ConnectionPoolListener] = [
    logs.OperationLog(SLOW_OPERATION_MS),
    metrics.OperationMetrics(),
    metrics.pool,
]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "snipix.database",
        # A URI that can't be reached rather than none, so that commands which need no database run.
        "HOST": MONGODB_URI or "mongodb://127.0.0.1:27017/",
        "NAME": MONGODB_DATABASE,
        "OPTIONS": {
            "w": "majority",
            "journal": True,
            "readConcernLevel": "majority",
            "minPoolSize": MONGODB_MIN_POOL_SIZE,
            "maxPoolSize": MONGODB_MAX_POOL_SIZE,
            "waitQueueTimeoutMS": int(MONGODB_TIMEOUT * 1000),
            "serverSelectionTimeoutMS": int(MONGODB_TIMEOUT * 1000),
            "connectTimeoutMS": int(MONGODB_TIMEOUT * 1000),
            "socketTimeoutMS": int(MONGODB_SOCKET_TIMEOUT * 1000),
            "heartbeatFrequencyMS": 1000,  # how soon its coming and going is noticed
            "appname": "snipix",
            "event_listeners": _listeners,
        },
    }
}


class _NoGdal:
    """Ends the backend's search for GDAL, half a second in every process, before it starts."""

    def __bool__(self) -> bool:
        raise ImproperlyConfigured("Snipix stores no geographic data")


GDAL_LIBRARY_PATH = _NoGdal()
DATABASE_ROUTERS = ["django_mongodb_backend.routers.MongoRouter"]
DEFAULT_AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"
MIGRATION_MODULES = {
    "admin": "snipix.contrib_migrations.admin",
    "auth": "snipix.contrib_migrations.auth",
    "contenttypes": "snipix.contrib_migrations.contenttypes",
}

# --- Redis -----------------------------------------------------------------------------------

REDIS_URL = env.text("REDIS_URL")
REDIS_TIMEOUT = env.seconds("REDIS_TIMEOUT", 0.3, at_least=0.01)
CACHE_TTL = env.integer("CACHE_TTL", 300, at_least=1)
CACHE_TTLS: dict[str, int] = {
    "project": env.integer("CACHE_TTL_PROJECT", CACHE_TTL),
    "timeline": env.integer("CACHE_TTL_TIMELINE", CACHE_TTL),
    "transcription": env.integer("CACHE_TTL_TRANSCRIPTION", CACHE_TTL),
    "version": env.integer("CACHE_TTL_VERSION", CACHE_TTL),
    "captions": env.integer("CACHE_TTL_CAPTIONS", CACHE_TTL),
    "list": env.integer("CACHE_TTL_LIST", CACHE_TTL),
    "account": env.integer("CACHE_TTL_ACCOUNT", CACHE_TTL),
}
STALE_MAX = env.integer("STALE_MAX", 3_600, at_least=0)
WORKER_CACHE_BYTES = env.integer("WORKER_CACHE_BYTES", 64 * 2**20, at_least=0)
_redis_options = {
    "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT,
    "SOCKET_TIMEOUT": REDIS_TIMEOUT,
    # With version 3 a server may tell the client to wait ten seconds instead.
    "CONNECTION_POOL_KWARGS": {"protocol": 2},
}


def _redis(prefix: str, serializer: str) -> dict[str, Any]:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": prefix,
        "OPTIONS": {"SERIALIZER": serializer, **_redis_options},  # never pickle
    }


CACHES: dict[str, dict[str, Any]] = (
    {
        "default": _redis("snipix", "django_redis.serializers.json.JSONSerializer"),
        # Not under one prefix for all databases: their projects may have the same ids.
        "documents": _redis(
            f"snipix:{MONGODB_DATABASE}", "snipix.cache.serializer.BytesSerializer"
        ),
    }
    if REDIS_URL
    else {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
)

# --- Applications ----------------------------------------------------------------------------

INSTALLED_APPS = [
    "snipix.apps.SnipixConfig",
    "projects",
    "timelines",
    "transcriptions",
    "media",
    "snipix.apps.MongoAdminConfig",
    "snipix.apps.MongoAuthConfig",
    "snipix.apps.MongoContentTypesConfig",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_mongodb_backend",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "snipix.logs.RequestMiddleware",
    "snipix.older.envelope.EnvelopeMiddleware",
    "snipix.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "snipix.limits.RateLimitMiddleware",
    "snipix.wire.GuardMiddleware",
    "snipix.wire.ETagMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "snipix.urls"
WSGI_APPLICATION = "snipix.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "snipix" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["snipix.accounts.PlainQueryBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
warnings.filterwarnings("ignore", "No directory at", UserWarning)  # before collectstatic
WHITENOISE_USE_FINDERS = True  # so that no collectstatic is needed; production may still run it
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# --- Web security ----------------------------------------------------------------------------

HTTPS = env.flag("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes speak plain HTTP to the process itself
if env.flag("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0)

CORS_ALLOWED_ORIGINS = env.words(
    "CORS_ALLOWED_ORIGINS", "http://localhost:3000,http://127.0.0.1:3000"
)
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "if-range",
    "prefer",
    "range",
    "x-client-id",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    "ETag",
    "Location",
    "Retry-After",
    "X-Request-ID",
    "Age",
    "X-Snipix-Stale",
    "Preference-Applied",
    "Content-Range",
    "RateLimit",
    "RateLimit-Policy",
]

# --- The API ---------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": (
        ["snipix.accounts.AnonymousOwnerAuthentication"]
        if SNIPIX_AUTH == "anonymous"
        else [
            "snipix.accounts.TokenAuthentication",
            "rest_framework.authentication.SessionAuthentication",
        ]
    ),
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["snipix.limits.ClientThrottle"],
    "DEFAULT_PARSER_CLASSES": ["snipix.wire.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["snipix.wire.JSONRenderer", "snipix.wire.BrowsableRenderer"],
    "DEFAULT_SCHEMA_CLASS": "snipix.openapi.Schema",
    "DEFAULT_METADATA_CLASS": "snipix.wire.Metadata",
    "EXCEPTION_HANDLER": "snipix.errors.exception_handler",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Snipix",
    "DESCRIPTION": "Projects, timelines and their whole history, for editors of video.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",  # the first whose schemas are JSON Schema, as those of states are
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "snipix.openapi.add_state_schemas",
    ],
}

# --- Logs ------------------------------------------------------------------------------------

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", "json", ("json", "console"))
LOGGING = logs.configuration(LOG_LEVEL, LOG_FORMAT)
