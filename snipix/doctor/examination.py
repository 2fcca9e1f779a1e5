"""Looking into what belongs to one project: histories, heads, pieces, summaries, orphans.

It asks no database: what it is given may come out of one, or out of an archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import bson
import msgspec
from bson import CodecOptions, ObjectId
from django.db import models

from projects.models import Project, no_timeline, no_transcription
from snipix import belongings, history, pieces
from snipix.belongings import Belonging
from snipix.chains import Chain, HistoryDamaged
from snipix.doctor.findings import Finding
from snipix.documents import Document
from snipix.history import Revision
from snipix.idempotency import KeptAnswer
from snipix.pieces import Piece, PieceMissing
from snipix.refusals import InvalidState
from timelines import services as timeline_services
from timelines.models import Timeline
from transcriptions import services as transcription_services
from transcriptions.models import Transcription

_MEDIA = ("video_path", "thumbnail", "trimmed_video_path")
_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
NOT_READ = (InvalidState, AttributeError, KeyError, TypeError)
"""What is raised by a state that isn't one, as somebody may have made it by hand."""
_Key = tuple[str, ObjectId]
"""Kind and ObjectId of a document."""


class Seen(NamedTuple):
    """What was found of a project."""

    findings: list[Finding]
    key: ObjectId | None
    """The project's own ObjectId."""
    files: set[str]
    """The media that versions of it name."""
    versions: int


def examine(project_id: str, found: Iterable[Belonging]) -> Seen:
    """Look into everything of a project, in the order in which `belongings.read` yields it."""
    look = _Look(project_id)
    for one in found:
        look.at(one)
    findings = list(look.conclude())
    return Seen(findings, look.project.pk if look.project else None, look.files, look.versions)


class _Look:
    def __init__(self, project_id: str) -> None:
        self.project_id = project_id
        self.heads: dict[_Key, Document] = {}
        self.pieces: dict[bytes, list[Any]] = {}
        self.chains: dict[_Key, Chain] = {}
        self.last: dict[_Key, Revision] = {}
        self.broken: dict[_Key, HistoryDamaged] = {}
        self.rest: Counter[str] = Counter()
        self.files: set[str] = set()
        self.versions = 0

    @property
    def project(self) -> Project | None:
        found = (head for head in self.heads.values() if isinstance(head, Project))
        return next(found, None)

    # --- Reading

    def at(self, one: Belonging) -> None:
        model = belongings.kinds().get(one.collection)
        if model is None:  # an archive may be of another release
            self.rest[one.collection] += 1
        elif issubclass(model, Document):
            head = _instance(model, one)
            self.heads[head.kind, head.pk] = head
        elif model is Piece:
            piece = _instance(Piece, one)
            self.pieces[bytes(piece.id)] = piece.elements
        elif model is Revision:
            self._add(_instance(Revision, one))
        elif getattr(model, "goes_with_project", False) and model is not KeptAnswer:
            self.rest[one.collection] += 1  # what a purge was answered stays for a while

    def _add(self, revision: Revision) -> None:
        key = (revision.kind, revision.document_id)
        self.versions += 1
        self.last[key] = revision
        if key in self.broken:
            return
        chain = self.chains.setdefault(key, Chain(revision.document_id))
        try:
            chain.add(revision)
        except HistoryDamaged as error:
            self.broken[key] = error
            return
        if revision.kind == Project.kind:
            state = msgspec.json.decode(chain.content)
            self.files |= {state[name] for name in _MEDIA if state.get(name)}

    # --- Concluding

    def conclude(self) -> Iterator[Finding]:
        project = self.project
        if getattr(project, "purging_at", None):
            return  # it is being destroyed, and in pieces by now
        for key, error in self.broken.items():
            yield self._finding("history-broken", key, str(error))
        if project is None:
            yield from self._orphans(None)
            return
        yield from self._orphans(project.pk)
        states = {}
        for key, head in self.heads.items():
            if key[1] == project.pk and key not in self.broken:
                if isinstance(found := self._check(key, head), Finding):
                    yield found
                else:
                    states[key[0]] = found
        if len(states) == len(self.heads):  # otherwise they may be all that is left of a state
            yield from self._orphaned_pieces()
        yield from self._wrong_summaries(project, states)

    def _check(self, key: _Key, head: Document) -> Any:
        """The state of a head that is sound, or else what is wrong with it."""
        chain = self.chains.get(key)
        if chain is None:
            return self._finding("history-missing", key, f"{head.version} versions are missing")
        if head.schema_version > head.current_schema():
            what = f"it is of schema {head.schema_version}, and {head.current_schema()} is known"
            return self._finding("newer-schema", key, what)
        what = f"the head is at version {head.version}, its history at {chain.version}"
        if head.version < chain.version:
            return self._finding("head-behind", key, what)
        if head.version > chain.version:
            return self._finding("history-cut", key, what)
        try:
            return history.check_head(head, chain, self.last[key], self._fetch)
        except HistoryDamaged as error:
            is_missing = isinstance(error.__cause__, PieceMissing)
            return self._finding("piece-missing" if is_missing else "head-differs", key, str(error))
        except NOT_READ as error:
            what = f"the head's state isn't one that can be read: {error}"
            return self._finding("head-differs", key, what)

    def _fetch(self, document: Document, ids: Collection[bytes]) -> dict[bytes, list[Any]]:
        if missing := [id for id in ids if id not in self.pieces]:
            named = ", ".join(id.hex() for id in missing[:3])
            raise PieceMissing(f"{len(missing)} pieces of {document} aren't there ({named})")
        return {id: self.pieces[id] for id in ids}

    def _orphans(self, project_key: ObjectId | None) -> Iterator[Finding]:
        """What belongs to another life of the project, or to none at all."""
        for key in {**self.heads, **self.chains, **self.broken}:
            kind, id = key
            is_own = id == project_key or (project_key is None and kind == Project.kind)
            if is_own and key not in self.heads:
                what = f"{self.last[key].version} versions, and no {kind}"
                yield self._finding("head-missing", key, what)
            elif not is_own:
                yield self._finding("orphan", key, f"a {kind} without its project")
        if project_key is None:
            rest = self.rest + Counter({"pieces": len(self.pieces)})
            for collection, count in rest.items():
                yield Finding(
                    "orphan",
                    f"{collection} of project {self.project_id}",
                    f"{count} documents without their project",
                    self.project_id,
                )

    def _orphaned_pieces(self) -> Iterator[Finding]:
        used = {id for head in self.heads.values() for id in pieces.all_ids(head)}
        if left := self.pieces.keys() - used:
            named = ", ".join(sorted(id.hex() for id in left)[:3])
            yield Finding(
                "piece-orphaned",
                f"pieces of project {self.project_id}",
                f"{len(left)} pieces that nothing refers to ({named})",
                self.project_id,
            )

    def _wrong_summaries(self, project: Project, states: dict[str, Any]) -> Iterator[Finding]:
        key = (Project.kind, project.pk)
        for name, wanted in wanted_summaries(project, self.heads.values(), states).items():
            if getattr(project, name) != wanted:
                what = f"{name} says {_told(getattr(project, name))}, and not {_told(wanted)}"
                yield self._finding("summary-wrong", key, what)
        if Project.kind in states and (wrong := wrong_fields(project)):
            yield self._finding("derived-wrong", key, f"{', '.join(wrong)} aren't of its state")

    def _finding(self, code: str, key: _Key, what: str) -> Finding:
        kind, id = key
        return Finding(
            code, f"{kind} of project {self.project_id}", what, self.project_id, kind, id
        )


def wanted_summaries(
    project: Project, heads: Iterable[Document], states: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """What a project is to show of its parts: those whose state is known, or that aren't there."""
    parts = {head.kind: head for head in heads if head.pk == project.pk}
    wanted = {}
    timeline, transcription = parts.get(Timeline.kind), parts.get(Transcription.kind)
    if not isinstance(timeline, Timeline):
        wanted["timeline_state"] = no_timeline()
    elif Timeline.kind in states:
        wanted["timeline_state"] = timeline_services.summary(timeline, states[Timeline.kind])
    if not isinstance(transcription, Transcription):
        wanted["transcription_state"] = no_transcription()
    elif Transcription.kind in states:
        state = states[Transcription.kind]
        wanted["transcription_state"] = transcription_services.summary(transcription, state)
    return wanted


def wrong_fields(project: Project) -> list[str]:
    """Which of a project's derived fields aren't what its state says. They are right afterwards."""
    before = {name: getattr(project, name) for name in project.derived_fields}
    project.derive()
    return [name for name, value in before.items() if getattr(project, name) != value]


def _told(summary: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in summary.items())


def _instance(model: type[Any], one: Belonging) -> Any:
    stored = bson.decode(bytes(one.document.raw), _AWARE)
    fields: Iterable[models.Field[Any, Any]] = model._meta.concrete_fields
    keys = {f.attname: "_id" if f.primary_key else str(f.column) for f in fields}
    return model(**{name: stored[key] for name, key in keys.items() if key in stored})
