"""What the API's description shares: headers, problems, and the schemas of typed states."""

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

components: dict[str, dict[str, Any]] = {}
"""The schemas of typed structs, by name."""

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag of the version that the change was made on.",
)
IF_MATCH_OPTIONAL = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the version that the change was made on; optional here.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Sent again with the same key, the change takes effect once and is answered alike.",
)
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    enum=["merge"],
    description="merge: if others saved meanwhile, merge; only true conflicts are refused (409).",
)
SINCE = OpenApiParameter(
    "since", int, description="The last version that the client knows; by default none."
)
CLIENT_ID = OpenApiParameter(
    "X-Client-Id",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The client, such as a browser tab, that the draft belongs to.",
)
DRY_RUN = OpenApiParameter(
    "dry_run", bool, description="With true: check, answer what would happen, change nothing."
)
AT = OpenApiParameter("at", description="A time: the state as it was then (RFC 3339).")
CURSOR = OpenApiParameter("cursor", str, description="`next` of the page before.")
FROM = OpenApiParameter("from", int, description="The older version; by default the one before.")
TO = OpenApiParameter("to", int, description="The newer version; by default the newest.")
PAGE_SIZE = OpenApiParameter("page_size", OpenApiTypes.INT, description="Documents on a page.")

LISTING = [
    OpenApiParameter("q", str, description="Words; all must be there, the last may be cut short."),
    OpenApiParameter(
        "ordering",
        str,
        enum=[
            f"{sign}{name}" for name in ("updated", "created", "name", "duration") for sign in "-"
        ]
        + ["updated", "created", "name", "duration"],
        description="By default -updated: the last edited first.",
    ),
    *(
        OpenApiParameter(name, description=f"{text} At most one of these four filters.")
        for name, text in (
            ("status", "Only projects of this status."),
            ("tag", "Only projects with this tag, case and accents ignored."),
            ("has_video", "true or false."),
            ("shared", "true: only what others share with you."),
        )
    ),
    *(
        OpenApiParameter(
            f"{name}_{end}", description=f"A bound of {name}, if the list is ordered by that."
        )
        for name in ("updated", "created", "name", "duration")
        for end in ("min", "max")
    ),
    OpenApiParameter("include", enum=["total"], description="Count what is on all pages."),
]

AUDIT = [
    OpenApiParameter("project", description="Only changes of this project."),
    OpenApiParameter("user", description="Only changes by this user."),
    OpenApiParameter("action", description="Only such changes: create, save, delete, …"),
    OpenApiParameter("created_min", description="Changes since then."),
    OpenApiParameter("created_max", description="Changes until then."),
]

_PROBLEMS = {
    400: "The input isn't valid: `errors` name path, reason and what to do.",
    401: "No valid token, where accounts are used.",
    403: "You may see this, but not do it.",
    404: "There is no such document, or it isn't yours.",
    409: "It conflicts: the id is taken, or both sides changed the same (`conflicts`).",
    412: "The document was changed meanwhile: `current` has version and ETag.",
    413: "The body is too large.",
    415: "The body has a media type that isn't taken here.",
    422: "The idempotency key was used for another request.",
    428: "`If-Match` is missing.",
    429: "Too many requests: `Retry-After` says when to try again.",
    503: "The database can't be reached: `Retry-After` says when to try again.",
}


class Schema(AutoSchema):
    """Operations are named after what they are about and what they do: `timeline_rollback`."""

    def get_operation_id(self) -> str:
        subject = type(self.view).__name__.removesuffix("ViewSet").lower()
        return f"{subject}_{getattr(self.view, 'action', '')}"

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        """What the views say, and what any of them may answer."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for (status, media_type), answer in self.always().items():
            bodies[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                answer, str(status), (media_type,), direction
            )
        return bodies

    @property
    def common(self) -> list[int]:
        """The statuses that a view may answer whatever it does."""
        asked = [401, 503] if self.view.authentication_classes else []
        return [*asked, *([429] if self.view.throttle_classes else [])]

    def always(self) -> dict[tuple[int, str], OpenApiResponse]:
        return problems(*self.common)

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Lists are answered in pages, which are objects."""
        return False


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tokens of accounts mode (RFC 6750)."""

    target_class = "snipix.accounts.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class NoScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Anonymous mode: nothing to send."""

    target_class = "snipix.accounts.AnonymousOwnerAuthentication"
    name = ["anonymous"]

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        return {}

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return []


class ProblemItem(msgspec.Struct):
    """One thing that is wrong with the input."""

    path: str
    reason: str
    hint: str


class CurrentVersion(msgspec.Struct):
    """Where the document is by now."""

    version: int
    etag: str


class ProblemDocument(msgspec.Struct):
    """Why a request wasn't carried out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[ProblemItem] | None = None
    current: CurrentVersion | None = None


def struct(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a typed struct, for `extend_schema`; its parts become components."""
    template = "#/components/schemas/{name}"
    (schema,), found = msgspec.json.schema_components([type_], ref_template=template)
    for component in found.values():
        if not component.get("required", True):
            del component["required"]  # OpenAPI 3.0 has no empty list there
    if clashing := [name for name in found if components.get(name, found[name]) != found[name]]:
        raise TypeError(f"two structs of the API have one name: {clashing}")
    components.update(found)
    return schema


def either(*types: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of an answer that has one of several forms."""
    return {"oneOf": [struct(type_) for type_ in types]}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """The errors that an operation answers, as problem documents."""
    return {
        (status, "application/problem+json"): OpenApiResponse(
            struct(ProblemDocument), _PROBLEMS[status]
        )
        for status in statuses
    }


def add_state_schemas(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the components that `struct` has collected (a hook of drf-spectacular)."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    result["components"]["schemas"] = dict(sorted({**schemas, **components}.items()))
    return result
