"""Looking into everything: the server, the database's rules, every project, media, and sizes.

What is found in a project while others change it may be the traces of a change that was just being
made. So it is looked at again, at one moment, before it is told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Any

from bson import ObjectId
from django.core import checks
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from media import storage, sweeping
from projects.models import Project
from snipix import belongings, health, indexes, mongo, schemas, snapshots, times
from snipix.backups.claims import MARKER
from snipix.belongings import Belonging
from snipix.checks import TAG
from snipix.doctor.examination import Seen, examine, strays
from snipix.doctor.findings import Finding
from snipix.mongo import connection, one

FREE_TIER_BYTES = 512 << 20
"""What Atlas's free tier holds: data and indexes."""
_NEARLY_FULL = 0.8
_LARGE_BYTES = 12 << 20
_LARGEST = 5
_GROWTH = timedelta(days=7)
_INDEX_CODES = {"missing": "index-missing", "undeclared": "index-undeclared"}

Say = Callable[[int], None]


@dataclass
class Sizes:
    """How much there is."""

    data_bytes: int = 0
    index_bytes: int = 0
    free_tier_share: float = 0.0
    """Of what Atlas's free tier holds."""
    week_bytes: int = 0
    """Of what was stored in the last seven days, and is still there."""
    collections: Counter[str] = field(default_factory=Counter)
    """Bytes in each, of what belongs to projects."""
    largest: list[tuple[int, str, str]] = field(default_factory=list)
    """The largest documents: bytes, collection, project."""

    def count(self, found: Iterable[Belonging], since: datetime) -> Iterator[Belonging]:
        """Count what passes by."""
        oldest = ObjectId.from_datetime(since)
        for stored in found:
            size = len(stored.document.raw)
            self.collections[stored.collection] += size
            id = stored.document["_id"]
            if isinstance(id, ObjectId) and id > oldest:
                self.week_bytes += size
            if len(self.largest) < _LARGEST or size > self.largest[-1][0]:
                entry = (size, stored.collection, stored.project_id)
                self.largest = nlargest(_LARGEST, [*self.largest, entry])
            yield stored


@dataclass
class CheckUp:
    """What a check-up has found."""

    findings: list[Finding] = field(default_factory=list)
    projects: int = 0
    versions: int = 0
    sizes: Sizes = field(default_factory=Sizes)

    def as_json(self) -> dict[str, Any]:
        return {
            "projects": self.projects,
            "versions": self.versions,
            "sizes": self.sizes.__dict__,
            "findings": [finding.as_json() for finding in self.findings],
        }


def check_up(*, since: datetime | None = None, say: Say = lambda _: None) -> CheckUp:
    """Look into everything; of projects, into those that were changed since then.

    `say` is told how many projects are done. Raises PyMongoError.
    """
    found = CheckUp()
    found.findings += [*server(), *configuration(), *rules()]
    with snapshots.patient_client() as client:
        for finding in _projects(client, found, since, say):
            found.findings.append(finding)
    found.findings += [*orphaned_media(), *_sizes(found.sizes)]
    return found


# --- The server and the database's rules


def server() -> Iterator[Finding]:
    try:
        health.reach_database()
    except health.StandaloneServer as error:
        yield Finding("no-transactions", "the server", str(error))
    if marker := connection.database[MARKER].find_one():
        what = f"only a part of the archive {marker['file']} is restored into it"
        yield Finding("half-restored", "the database", what)


def configuration() -> Iterator[Finding]:
    """What Django's system checks say of the settings."""
    for message in checks.run_checks(tags=[TAG], include_deployment_checks=True):
        if message.level >= checks.WARNING:
            yield Finding("configuration", message.id or "", message.msg, hint=message.hint or "")


def rules() -> Iterator[Finding]:
    """Indexes and validators that aren't as they are declared; on the embedded server, none are."""
    for drift in indexes.drift():
        code = _INDEX_CODES.get(drift.problem, "index-differs")
        yield Finding(code, f"{drift.collection}: {drift.name}", drift.detail)
    for differing in () if mongo.is_embedded() else schemas.drift():
        yield Finding("validator-differs", differing.collection, str(differing))


# --- Projects


def _projects(
    client: MongoClient[Any], found: CheckUp, since: datetime | None, say: Say
) -> Iterator[Finding]:
    raw = belongings.raw(client[connection.settings_dict["NAME"]])
    yield from strays(belongings.strays(raw))
    week = times.now() - _GROWTH
    for project_id, documents in belongings.everything(raw):
        if since and not _is_changed(project_id, since):
            continue
        seen = examine(project_id, found.sizes.count(documents, week))
        found.projects += seen.key is not None
        found.versions += seen.versions
        if seen.findings:
            yield from in_project(client, project_id)
        else:
            yield from _media(project_id, seen)
        say(found.projects)


def in_project(client: MongoClient[Any], project_id: str) -> Iterator[Finding]:
    """What is wrong with a project, whoever changes it meanwhile."""
    seen = look_again(client, project_id)
    yield from seen.findings
    yield from _media(project_id, seen)


def look_again(client: MongoClient[Any], project_id: str) -> Seen:
    """Look into a project as it is at one moment, whoever changes it meanwhile."""
    raw = belongings.raw(client[connection.settings_dict["NAME"]])
    for attempt in range(3):
        try:
            with snapshots.moment(client) as session:
                found = belongings.read(raw, {"$eq": project_id}, session=session)
                return examine(project_id, found)
        except PyMongoError as error:
            if attempt == 2 or not snapshots.is_over(error):
                raise
    raise AssertionError


def _is_changed(project_id: str, since: datetime) -> bool:
    return Project.everything.filter(project_id=project_id, updated_at__gte=since).exists()


def _media(project_id: str, seen: Seen) -> Iterator[Finding]:
    """Files that versions of a project name and that aren't there, and the reverse.

    Only where nothing else is wrong: what is missing of a history may be what names a file.
    """
    if seen.key is None or any(finding.severity == "error" for finding in seen.findings):
        return
    folder = storage.folder_of(seen.key)
    there = {name.removeprefix(f"{folder}/") for name in storage.files_of(seen.key)}
    for file in sorted(seen.files - there):
        if Project.everything.filter(pk=seen.key).exists():
            yield Finding("media-missing", f"{folder}/{file}", "isn't there", project_id)
    for name in (f"{folder}/{file}" for file in sorted(there - seen.files)):
        if storage.is_settled(name):
            code = "media-newer" if _is_newer(name, seen.key) else "media-left"
            what = "no version of the project names it"
            yield Finding(code, name, what, project_id, "project", seen.key)


def _is_newer(file: str, key: ObjectId) -> bool:
    """Whether a file was stored after the last change of its project that is known here.

    An upload that broke off leaves such a file, but so does a restore of an older backup.
    """
    project = one(Project.everything.filter(pk=key).only("updated_at"))
    return project is not None and storage.stored_at(file) > project.updated_at


def orphaned_media() -> Iterator[Finding]:
    """Media of projects that aren't there: a finding for those that were purged, one for others."""
    folders: Counter[str] = Counter()
    files: Counter[str] = Counter()
    first: dict[str, str] = {}
    for orphan in sweeping.orphans():
        code = "media-orphaned" if orphan.is_purged else "media-unknown"
        folders[code] += 1
        files[code] += orphan.files
        first.setdefault(code, storage.folder_of(orphan.key))
    for code, where in first.items():
        of = "purged" if code == "media-orphaned" else "unknown"
        what = f"{files[code]} files of {of} projects, in {folders[code]} folders"
        yield Finding(code, "media", f"{what} (the first is {where})")


# --- Sizes


def _sizes(sizes: Sizes) -> Iterator[Finding]:
    sizes.data_bytes, sizes.index_bytes = snapshots.sizes()
    used = sizes.data_bytes + sizes.index_bytes
    sizes.free_tier_share = round(used / FREE_TIER_BYTES, 6)
    if _NEARLY_FULL <= sizes.free_tier_share <= 1:
        what = f"{used:,} bytes are used of the {FREE_TIER_BYTES:,} of Atlas's free tier"
        yield Finding("nearly-full", "the database", what)
    for size, collection, project_id in sizes.largest:
        if size > _LARGE_BYTES:
            where = f"{collection} of project {project_id}"
            yield Finding("large-document", where, f"{size:,} bytes")
