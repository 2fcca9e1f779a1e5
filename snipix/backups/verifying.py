"""Proving an archive without restoring it: every byte, and every history in it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snipix import belongings
from snipix.backups.archive import Archive, Stored, opened
from snipix.backups.format import Damaged
from snipix.doctor.examination import examine
from snipix.doctor.findings import Finding

Say = Callable[[int], None]


@dataclass
class Proof:
    """What an archive holds, and what is wrong with that."""

    file: str
    moment: str
    projects: int = 0
    versions: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    media_files: int | None = None
    findings: list[Finding] = field(default_factory=list)
    """Damage that was there already when the archive was made."""

    def as_json(self) -> dict[str, Any]:
        return {**self.__dict__, "findings": [finding.as_json() for finding in self.findings]}


def verify(path: Path, *, say: Say = lambda _: None) -> Proof:
    """Prove an archive; `say` is told how many projects are done.

    Raises Damaged, which names the first block that was changed, and OSError.
    """
    with opened(path) as archive:
        return prove(path, archive, say)


def prove(path: Path, archive: Archive, say: Say = lambda _: None) -> Proof:
    """As `verify`, for an archive that is open."""
    proof = Proof(str(path), archive.manifest.moment)
    stored = _counted(archive.stored(), proof.documents)
    for project_id, found in belongings.by_project(one.belonging for one in stored):
        if not project_id:
            for _ in found:
                pass
            continue
        seen = examine(project_id, found)
        proof.projects += seen.key is not None
        proof.versions += seen.versions
        proof.findings += seen.findings
        say(proof.projects)
    if proof.projects != archive.manifest.projects:
        told = f"{proof.projects} projects, and the manifest says {archive.manifest.projects}"
        raise Damaged(f"it holds {told}")
    if archive.manifest.media_files is not None:
        proof.media_files = sum(part.number == 0 for part in archive.media())
        if proof.media_files != archive.manifest.media_files:
            raise Damaged("it doesn't hold all media files that the manifest counts")
    return proof


def _counted(found: Iterator[Stored], count: Counter[str]) -> Iterator[Stored]:
    for one in found:
        count[one.belonging.collection] += 1
        yield one
