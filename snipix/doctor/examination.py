"""Looking into what belongs to one project: histories, heads, pieces, summaries, orphans.

It asks no database: what it is given may come out of one, or out of an archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, NamedTuple

import bson
import msgspec
from bson import CodecOptions, ObjectId
from bson.errors import InvalidBSON
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField, ObjectIdField

from projects.models import Project, no_timeline, no_transcription
from snipix import belongings, history, pieces
from snipix.belongings import Belonging
from snipix.chains import Chain, HistoryDamaged
from snipix.doctor.findings import Finding
from snipix.documents import Document
from snipix.history import Revision
from snipix.idempotency import KeptAnswer
from snipix.left import NOT_READ
from snipix.pieces import Piece, PieceMissing
from timelines import services as timeline_services
from timelines.models import Timeline
from transcriptions import services as transcription_services
from transcriptions.models import Transcription

_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
_TYPES: Sequence[tuple[type[models.Field[Any, Any]], tuple[type, ...]]] = (
    (ObjectIdAutoField, (ObjectId,)),
    (ObjectIdField, (ObjectId,)),
    (models.CharField, (str,)),
    (models.IntegerField, (int, float)),  # a shell writes 3 as 3.0
    (models.BooleanField, (bool,)),
    (models.DateTimeField, (datetime,)),
    (models.BinaryField, (bytes,)),
)
"""What documents hold beside their states, which are looked into by themselves."""
_Key = tuple[str, ObjectId]
"""Kind and ObjectId of a document."""


class Misshapen(Exception):
    """A document that lacks what every one has, or has something else in its place."""


class _Media(msgspec.Struct):
    """The media that the state of a project names."""

    video_path: str | None = None
    thumbnail: str | None = None
    trimmed_video_path: str | None = None


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
    try:
        findings = list(look.conclude())
    except NOT_READ as error:
        findings = [*look.misshapen, look.unreadable(f"all of project {project_id}", error)]
    return Seen(findings, look.project.pk if look.project else None, look.files, look.versions)


def strays(counted: Mapping[str, int]) -> Iterator[Finding]:
    """Tell of documents that belong to no project, as `belongings.strays` counts them."""
    for name in belongings.kinds():
        if count := counted.get(name):
            yield Finding("stray", name, f"{count} documents whose projectId isn't one")


class _Look:
    def __init__(self, project_id: str) -> None:
        self.project_id = project_id
        self.heads: dict[_Key, Document] = {}
        self.pieces: dict[bytes, list[Any]] = {}
        self.chains: dict[_Key, Chain] = {}
        self.last: dict[_Key, Revision] = {}
        self.broken: dict[_Key, HistoryDamaged] = {}
        self.misshapen: list[Finding] = []
        self.records: list[Finding] = []
        """What is wrong with documents that no version depends on."""
        self.rest: Counter[str] = Counter()
        self.files: set[str] = set()
        self.versions = 0

    @property
    def project(self) -> Project | None:
        found = (head for head in self.heads.values() if isinstance(head, Project))
        return next(found, None)

    # --- Reading

    def at(self, one: Belonging) -> None:
        try:
            self._at(one, belongings.kinds()[one.collection])
        except Misshapen as error:
            where = f"{one.collection} of project {self.project_id}"
            self.misshapen.append(Finding("misshapen", where, str(error), self.project_id))
        except NOT_READ as error:
            where = f"{one.collection} of project {self.project_id}"
            self.misshapen.append(self.unreadable(where, error))

    def unreadable(self, where: str, error: Exception) -> Finding:
        """What nobody foresaw: it is named, and keeps no other project from being examined."""
        what = f"it can't be read: {type(error).__name__}: {str(error)[:100]}"
        return Finding("misshapen", where, what, self.project_id)

    def _at(self, one: Belonging, model: type[models.Model]) -> None:
        if issubclass(model, Document):
            head = _instance(model, one)
            self.heads[head.kind, head.pk] = head
        elif model is Piece:
            piece = _instance(Piece, one)
            self.pieces[bytes(piece.id)] = piece.elements
        elif model is Revision:
            self._add(_instance(Revision, one))
        else:
            self._note_record(one, model)

    def _note_record(self, one: Belonging, model: type[models.Model]) -> None:
        """Of what no version depends on, such as drafts, all but the form is taken as it is."""
        if getattr(model, "goes_with_project", False) and model is not KeptAnswer:
            self.rest[one.collection] += 1  # what a purge was answered stays for a while
        try:
            _instance(model, one)
        except Misshapen as error:
            where = f"{one.collection} of project {self.project_id}"
            self.records.append(Finding("record-misshapen", where, str(error), self.project_id))

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
            try:
                named = msgspec.json.decode(chain.content, type=_Media)
            except (msgspec.DecodeError, RecursionError):
                self.broken[key] = HistoryDamaged(f"{revision}: its state isn't that of a project")
            else:
                self.files |= {file for file in msgspec.structs.astuple(named) if file}

    # --- Concluding

    def conclude(self) -> Iterator[Finding]:
        project = self.project
        if project and project.is_going:  # it is being destroyed, and in pieces by now
            if not project.is_deleted or project.deleted_at is None:
                key = (Project.kind, project.pk)
                yield self._finding("purge-stuck", key, "it is marked so, and isn't in the trash")
            return
        yield from (*self.misshapen, *self.records)
        for key, error in self.broken.items():
            yield self._finding("history-broken", key, str(error))
        if self.misshapen:
            return  # without these documents, nothing else can be judged
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
        schema = max(head.schema_version, self.last[key].schema_version)
        if schema > head.current_schema():
            what = f"it is of schema {schema}, and {head.current_schema()} is known"
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


def _told(summary: Any) -> str:
    if not isinstance(summary, dict):
        return str(summary)
    return ", ".join(f"{name} {value}" for name, value in summary.items())


class _Column(NamedTuple):
    """A field, and what MongoDB keeps of it."""

    name: str
    key: str
    types: tuple[type, ...]
    """What it may be; any of them if there is none."""


@cache
def _columns(model: type[models.Model]) -> list[_Column]:
    found = []
    for field in model._meta.concrete_fields:
        types = () if field.attname in _state_fields(model) else _types(field)
        key = "_id" if field.primary_key else str(field.column)
        found.append(_Column(field.attname, key, types))
    return found


def _state_fields(model: type[models.Model]) -> set[str]:
    """What is judged, and made again, by the history."""
    if not issubclass(model, Document):
        return set()
    return {*model.state_type.__struct_fields__, *model.derived_fields}


def _types(field: models.Field[Any, Any]) -> tuple[type, ...]:
    types = next((types for kind, types in _TYPES if isinstance(field, kind)), ())
    return (*types, NoneType) if types and field.null else types


def _is_any(value: Any, types: tuple[type, ...]) -> bool:
    """As `isinstance`, but for what isn't a number in MongoDB."""
    return bool in types if isinstance(value, bool) else isinstance(value, types)


def _instance(model: type[models.Model], one: Belonging) -> Any:
    """A document as an object. Raises Misshapen."""
    try:
        stored = bson.decode(bytes(one.document.raw), _AWARE)
    except InvalidBSON as error:
        raise Misshapen(f"one can't be read: {error}") from error
    columns = _columns(model)
    made = model(**{one.name: stored[one.key] for one in columns if one.key in stored})
    for column in columns:
        value = getattr(made, column.name)
        if column.types and not _is_any(value, column.types):
            what = "isn't there" if value is None else f"is of the type {type(value).__name__}"
            raise Misshapen(f"{column.key} of {str(stored.get('_id'))[:40]} {what}")
    return made
