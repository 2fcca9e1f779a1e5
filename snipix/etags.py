"""Entity tags, and the preconditions that use them (RFC 9110, sections 8.8.3 and 13).

A tag is `version.hash.representation.summary`: the document's version, a prefix of its hash chain,
the version of how it is written down, and, for a project, the version of the timeline that its
summary shows. Whether a client has the newest bytes (`If-None-Match`) is a matter of all four;
whether it has the newest version (`If-Match`) of the first two, so that neither an autosave nor a
deploy refuses a rename.
"""

import re
from dataclasses import dataclass, replace
from hashlib import sha256

from rest_framework.request import Request

from snipix import errors

_HASH_LENGTH = 16
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_OURS = re.compile(r"(\d{1,18})\.([0-9a-f]{16})\.([\w-]{1,40})\.(\d{1,18})")


@dataclass(frozen=True, slots=True)
class ETag:
    version: int
    hash: str
    representation: str
    summary: int = 0

    @classmethod
    def of(cls, version: int, digest: bytes, representation: str, summary: int = 0) -> "ETag":
        return cls(version, digest.hex()[:_HASH_LENGTH], representation, summary)

    @classmethod
    def read(cls, text: str) -> "ETag":
        """A tag of our own as we wrote it. Raises ValueError."""
        found = _parse(text)
        if len(found) != 1:
            raise ValueError(f"{text!r} is no tag of ours")
        return found[0]

    def __str__(self) -> str:
        return f'"{self.version}.{self.hash}.{self.representation}.{self.summary}"'

    def variant(self, options: str) -> "ETag":
        """The tag of the same version, written as some options want it."""
        named = sha256(options.encode()).hexdigest()[:8]
        return replace(self, representation=f"{self.representation}-{named}")

    def same_version(self, other: "ETag") -> bool:
        return (self.version, self.hash) == (other.version, other.hash)


def require_match(request: Request, current: ETag) -> None:
    """Insist that the change was made on the current version.

    Raises as `stated` does, and VersionMismatch, with the current version, when it was another one.
    """
    if not any(tag.same_version(current) for tag in stated(request, current)):
        raise mismatch(current)


def stated(request: Request, current: ETag) -> list[ETag]:
    """The versions of which the request's `If-Match` says that the change was made on one.

    Raises PreconditionRequired without an `If-Match` that names a version (`*` names none).
    """
    header = request.headers.get("If-Match", "")
    if not header.strip() or header.strip() == "*":
        raise errors.PreconditionRequired(
            "Send If-Match with the ETag of the version that the change was made on. "
            f"The current one is {current}.",
            **_current(current),
        )
    return _parse(header)


def check_match(request: Request, current: ETag) -> None:
    """Honour an `If-Match` where it is optional. Raises VersionMismatch."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return
    if not any(tag.same_version(current) for tag in _parse(header)):
        raise mismatch(current)


def mismatch(current: ETag, **members: object) -> errors.VersionMismatch:
    """The error of a change that was made on another version than the current one."""
    return errors.VersionMismatch(
        f"The document is at version {current.version} by now. Read it again, apply the change to "
        "that, and send it with the new ETag.",
        **_current(current),
        **members,
    )


def is_unmodified(request: Request, current: ETag) -> bool:
    """Whether `If-None-Match` says that the client has these bytes already: answer 304."""
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or any(tag == current for tag in _parse(header))


def _current(current: ETag) -> dict[str, object]:
    return {"current": {"version": current.version, "etag": str(current)}}


def _parse(header: str) -> list[ETag]:
    """Our own tags in a header. Weak forms count: compression makes them of our strong ones."""
    found = (_OURS.fullmatch(tag) for tag in _TAG.findall(header))
    return [ETag(int(m[1]), m[2], m[3], int(m[4])) for m in found if m]
