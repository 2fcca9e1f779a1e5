"""Reads of a project and what belongs to it, answered without the database where that is safe."""

from collections.abc import Callable
from typing import Any

import msgspec
from rest_framework.response import Response

from projects import current
from projects.models import Project, Right
from snipix import cache, checkpoints, errors
from snipix.api import Made
from snipix.documents import Tag
from snipix.versions import VersionedViewSet


class CurrentViewSet(VersionedViewSet):
    """A document of a project, and its history."""

    kind: str

    def get_project(self, right: Right = "read") -> Project:
        return Project.objects.in_hands_of(self.actor.user_id, self.kwargs["project_id"], right)

    def find_current(self) -> tuple[str, Tag]:
        """The key and the tag of the document as it is now. Raises as `get_document` does."""
        record = current.find(self.kwargs["project_id"], self.actor.user_id)
        tag = record.tags.get(self.kind)
        if tag is None:
            self.get_document()  # says why there is none
            raise errors.NotFound(f"The {self.kind} has only just been made. Read it again.")
        return record.key, tag

    def answer_current(
        self, encode: Callable[[Any], bytes], *, kind: str = "", options: str = ""
    ) -> Response:
        """Answer the document as it is now, written as some options want it.

        `kind` is for what is kept for another time than the document itself.
        """
        key, tag = self.find_current()

        def make() -> Made:
            document = self.get_document()
            return _variant(document.tag, options), encode(document)

        return self.answer_kept(kind or self.kind, key, _variant(tag, options), make)

    def answer_version(self, version: int) -> Response:
        key, _ = self.find_current()
        name = checkpoints.record_name(self.kind, key, version)
        kept = cache.current.get(
            name, lambda: msgspec.json.encode(self.make_version(version, with_state=False)[0])
        )
        tag = msgspec.json.decode(kept or b"", type=Tag)
        return self.answer_kept(
            "version", f"{self.kind}:{key}", tag, lambda: self.make_version(version)
        )


def _variant(tag: Tag, options: str) -> Tag:
    return tag.variant(options) if options else tag
