"""Made-up projects in any number, to try things on: written in bulk, with valid histories.

A seed and a number always give the same project, under the same id. So what is there already is
left alone, and an interrupted run goes on where it was. A batch of projects is one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from django.db import models
from django_mongodb_backend.query import wrap_database_errors

import timelines.samples
import transcriptions.samples
from projects.models import Project
from projects.state import ProjectState
from snipix import audit, cache, history, pieces
from snipix.accounts import Actor
from snipix.documents import Document
from snipix.mongo import connection
from snipix.pieces import Piece
from timelines import state as timeline_state
from timelines.models import Timeline
from timelines.state import TimelineState
from transcriptions import state as transcription_state
from transcriptions.models import Transcription

if TYPE_CHECKING:
    from faker import Faker

BATCH = 50
"""Projects in one transaction."""
_LOOKED_FOR = 1_000
"""Ids in one query."""
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_MINUTES = 400_000
"""Over how long a time the projects were made."""
_TAGS = ("travel", "interview", "draft", "music", "sport", "family", "lecture", "client")


@dataclass(frozen=True)
class Wanted:
    """What is to be made up."""

    projects: int
    seed: int
    owner: str
    clips: int
    words: int
    versions: int
    """Of each timeline."""


@dataclass
class _Batch:
    """Documents to be inserted, by collection."""

    documents: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, instance: models.Model) -> None:
        columns = {
            str(f.column): f.get_db_prep_save(getattr(instance, f.attname), connection)
            for f in instance._meta.concrete_fields
        }
        self.documents[instance._meta.db_table].append(columns)

    @wrap_database_errors
    def insert(self) -> None:
        for collection, documents in self.documents.items():
            if not documents:
                continue
            found = connection.get_collection(collection)
            found.insert_many(documents, session=connection.session)


def seed(wanted: Wanted) -> Iterator[int]:
    """Make up projects. Yields, for each, how many documents were inserted for it: 0 if it was
    there already."""
    for first in range(0, wanted.projects, BATCH):
        numbers = range(first, min(first + BATCH, wanted.projects))
        made = history.change(lambda numbers=numbers: _make(wanted, numbers))  # type: ignore[misc]
        yield from (made.get(number, 0) for number in numbers)


def there_already(wanted: Wanted) -> int:
    """How many of the projects there are."""
    ids = (id_of(wanted.seed, number) for number in range(wanted.projects))
    batches = iter(lambda: list(islice(ids, _LOOKED_FOR)), [])
    return sum(Project.everything.filter(project_id__in=batch).count() for batch in batches)


def id_of(seed: int, number: int) -> str:
    """The public id of a made-up project."""
    return f"seed-{seed}-{number:06}"


def _make(wanted: Wanted, numbers: range) -> dict[int, int]:
    """Insert those that aren't there, within a change."""
    ids = {id_of(wanted.seed, number): number for number in numbers}
    there = Project.everything.filter(project_id__in=list(ids))
    for id in there.values_list("project_id", flat=True):
        del ids[id]
    batch, made = _Batch(), {}
    fake = _faker()
    for id, number in ids.items():
        before = _size(batch)
        random = Random(f"{wanted.seed} {number}")  # noqa: S311 - made up
        fake.seed_instance(random.random())
        _Story(wanted, batch, random, fake).tell(id)
        made[number] = _size(batch) - before
    batch.insert()
    cache.current.also(cache.Name("list", wanted.owner))
    return made


def _size(batch: _Batch) -> int:
    return sum(map(len, batch.documents.values()))


def _faker() -> Faker:
    from faker import Faker

    return Faker()


class _Story:
    """What happened to one project."""

    def __init__(self, wanted: Wanted, batch: _Batch, random: Random, fake: Faker) -> None:
        self.wanted, self.batch, self.random, self.fake = wanted, batch, random, fake
        self.actor = Actor(wanted.owner)
        self.at = _BEGAN + timedelta(minutes=random.randrange(_MINUTES))

    def tell(self, id: str) -> None:
        project = self._new(Project, ObjectId(), id)
        self._versions(project, [self._project()], action="create")
        if states := self._timelines():
            timeline = self._new(Timeline, project.pk, id)
            self._versions(timeline, states, action="save")
            numbers = timeline_state.summarise(states[-1])
            project.timeline_state = _summary(timeline, numbers)
        if self.wanted.words:
            spoken = transcriptions.samples.transcription(self._number(), self.wanted.words)
            transcription = self._new(Transcription, project.pk, id)
            self._versions(transcription, [spoken], action="create")
            facts = {"exists": True, "language": spoken.language, "is_complete": True}
            numbers = transcription_state.summarise(spoken)
            project.transcription_state = _summary(transcription, facts | numbers)
        project.updated_at = self.at
        self.batch.add(project)

    def _new(self, model: type[Any], key: ObjectId, id: str) -> Any:
        owner = self.wanted.owner
        return model(id=key, project_id=id, user_id=owner, created_by=owner, created_at=self.at)

    def _number(self) -> int:
        return self.random.randrange(2**31)

    def _project(self) -> ProjectState:
        fake = self.fake
        return ProjectState(
            name=fake.catch_phrase(),
            user_id=self.wanted.owner,
            description=fake.sentence(),
            status="archived" if self.random.random() < 0.1 else "active",
            tags=self.random.sample(_TAGS, self.random.randint(0, 3)),
            duration=round(self.random.uniform(5, 7_200), 3),
            metadata={"client": fake.company(), "place": fake.city()},
        )

    def _timelines(self) -> list[TimelineState]:
        """As many versions as wanted: a first one, in which then one clip is moved and another."""
        if not self.wanted.clips:
            return []
        states = [timelines.samples.timeline(self._number(), self.wanted.clips)]
        while len(states) < self.wanted.versions:
            states.append(timelines.samples.move_clip(states[-1], self.random))
        return states

    def _versions(self, document: Any, states: list[Any], *, action: str) -> None:
        """The revisions of a document with their audit entries, and the head but for projects."""
        content: bytes | None = None
        for state in states:
            split = pieces.split(self._bare(document), state)
            if split.content == content:
                continue
            before = document.version
            frame = history.advance(document, content, split.content, at=self.at)
            content = split.content
            document.schema_version = document.current_schema()
            id, actor, size = ObjectId(), self.actor, len(content)
            self.batch.add(
                history.revision_of(document, frame, size, id=id, action=action, actor=actor)
            )
            self.batch.add(audit.entry(id, document, action, actor, from_version=before))
            self.at += timedelta(minutes=self.random.randint(1, 90))
        document.hold_state(split)
        document.derive()
        self.batch.documents[Piece._meta.db_table] += split.change.stored(document)
        if not isinstance(document, Project):
            self.batch.add(document)

    def _bare(self, document: Document) -> Document:
        """The same document before it had a state, so that all of its pieces are new ones."""
        return self._new(type(document), document.pk, document.project_id)


def _summary(part: Any, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"version": part.version, **numbers, "saved_at": part.updated_at}
