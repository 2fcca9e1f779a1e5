"""Proving an archive without restoring it: every byte, and every history in it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from projects.models import Project
from snipix import belongings
from snipix.backups import Say, silent
from snipix.backups.archive import Archive, Stored, opened
from snipix.backups.format import Damaged
from snipix.belongings import Belonging
from snipix.doctor.examination import examine, strays
from snipix.doctor.findings import Finding


@dataclass
class Proof:
    """What an archive holds, and what is wrong with that."""

    file: str
    moment: str
    projects: int = 0
    versions: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    """Of these, those that belong to no project, since their `projectId` isn't one."""
    media_files: int | None = None
    findings: list[Finding] = field(default_factory=list)
    """Damage that was there already when the archive was made."""

    def as_json(self) -> dict[str, Any]:
        return {**self.__dict__, "findings": [finding.as_json() for finding in self.findings]}


def verify(path: Path, *, say: Say = silent) -> Proof:
    """Prove an archive; `say` is told how far that has come.

    Raises Damaged, which names the first block that was changed, and OSError.
    """
    with opened(path) as archive:
        return prove(path, archive, say)


def prove(path: Path, archive: Archive, say: Say = silent) -> Proof:
    """As `verify`, for an archive that is open."""
    proof = Proof(str(path), archive.manifest.moment)
    stored = _counted(archive.stored(), proof)
    for project_id, found in _once(archive, belongings.by_project(one.belonging for one in stored)):
        seen = examine(project_id, found)
        proof.projects += seen.key is not None
        proof.versions += seen.versions
        proof.findings += seen.findings
        say("projects proven", proof.projects, archive.manifest.projects)
    proof.findings += strays(proof.strays)
    projects = proof.documents[Project._meta.db_table]
    if projects != archive.manifest.projects:
        told = f"{projects} projects, and the manifest says {archive.manifest.projects}"
        raise Damaged(f"it holds {told}")
    if archive.manifest.media_files is not None:
        proof.media_files = _prove_media(archive, say)
    return proof


def _once(
    archive: Archive, found: Iterator[tuple[str, Iterator[Belonging]]]
) -> Iterator[tuple[str, Iterator[Belonging]]]:
    """What belongs to projects, each of which comes once. Raises Damaged.

    They come in the order of their ids, and after that, in any, those that were copied again.
    """
    last, again = "", set(archive.manifest.renewed)
    for project_id, documents in found:
        if not project_id:
            for _ in documents:
                pass
            continue
        if project_id in archive.manifest.renewed:
            is_twice = project_id not in again
            again.discard(project_id)
        else:
            is_twice, last = project_id <= last, project_id
        if is_twice:
            raise Damaged(f"project {project_id!r} is in it twice, or not in its place")
        yield project_id, documents


def _prove_media(archive: Archive, say: Say) -> int:
    """How many files there are: as many, and of as many bytes, as the manifest says, or Damaged."""
    files = size = 0
    for part in archive.media():
        size += len(part.content)
        if part.number == 0:
            files += 1
            say("media files proven", files, archive.manifest.media_files or 0)
    if (files, size) != (archive.manifest.media_files, archive.manifest.media_bytes):
        raise Damaged("it doesn't hold all media files that the manifest counts")
    return files


def _counted(found: Iterator[Stored], proof: Proof) -> Iterator[Stored]:
    for one in found:
        name = one.belonging.collection
        proof.documents[name] += 1
        if not one.belonging.project_id and name in belongings.kinds():
            proof.strays[name] += 1
        yield one
