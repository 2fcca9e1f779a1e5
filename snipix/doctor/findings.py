"""What the doctor finds: each finding has a code, which says how bad it is and what to do."""

from typing import Any, Literal, NamedTuple

from bson import ObjectId

Severity = Literal["error", "warning", "note"]


class Code(NamedTuple):
    """A kind of finding."""

    severity: Severity
    what_to_do: str
    is_mended: bool = False
    """Whether `--fix` mends it, and loses nothing by that."""
    instead: str = ""
    """What to do where that fails."""


_FIX = "Run doctor --fix: "
_BACKUP = (
    "Restore the project from a backup into another database, and compare (restore --project)."
)

CODES: dict[str, Code] = {
    "history-broken": Code("error", f"What was saved can't be proven any more. {_BACKUP}"),
    "history-missing": Code("error", f"The document has no history. {_BACKUP}"),
    "history-cut": Code("error", f"The newest versions are gone from the history. {_BACKUP}"),
    "head-behind": Code("error", f"{_FIX}the head is made again of its last version.", True),
    "head-differs": Code("error", f"{_FIX}the head is made again of its last version.", True),
    "head-missing": Code("error", f"The history is there, and the document isn't. {_BACKUP}"),
    "misshapen": Code("error", f"Nothing else of the project can be judged. {_BACKUP}"),
    "record-misshapen": Code(
        "warning",
        "Whoever asks for it is answered an error; all else of the project is sound. Remove it by "
        "hand, once you have a copy elsewhere.",
    ),
    "newer-schema": Code("error", "Use the release that wrote it, or a later one."),
    "purge-stuck": Code(
        "error",
        "Nobody sees it, and nothing purges it. If it is to be there, take away its `purgingAt` "
        "by hand, and run doctor --fix; if not, set its `isDeleted` and its `deletedAt`.",
    ),
    "piece-missing": Code("error", f"{_FIX}the pieces are made again of the last version.", True),
    "piece-orphaned": Code("note", f"{_FIX}pieces that nothing refers to are removed.", True),
    "summary-wrong": Code("warning", f"{_FIX}the summary is computed again.", True),
    "derived-wrong": Code("warning", f"{_FIX}the fields are computed again.", True),
    "orphan": Code(
        "warning",
        "It belongs to no project. It may be all that is left of somebody's work: look into it, "
        f"and remove it by hand. {_BACKUP}",
    ),
    "stray": Code(
        "error",
        "Nobody sees them. Set their `projectId` by hand to that of their "
        "project, or remove them once you have a copy elsewhere.",
    ),
    "media-missing": Code(
        "error", "A version of the project has this file. Bring it back from a backup of the media."
    ),
    "media-left": Code("note", f"{_FIX}files that no version names are removed.", True),
    "media-newer": Code(
        "warning",
        "It was stored after the project's last change that is here. If the database was restored "
        "from an older backup, an upload since then is in it. If nobody needs it, remove it.",
    ),
    "media-orphaned": Code("note", f"{_FIX}media of projects that were purged are removed.", True),
    "media-unknown": Code(
        "warning",
        "The database knows neither the projects nor their purge. If it is the wrong one, or not "
        "restored yet, see to that. If nobody needs the media: sweep_media --unknown.",
    ),
    "index-missing": Code(
        "error",
        f"{_FIX}missing indexes are created (ensure_indexes).",
        True,
        instead="Of documents with the same key, keep a copy of those that are wrong elsewhere, "
        "and remove them by hand; then run ensure_indexes.",
    ),
    "index-differs": Code("error", "Run ensure_indexes --check, and do as it says."),
    "index-undeclared": Code("note", "Run ensure_indexes --prune, if nobody else needs it."),
    "validator-differs": Code("error", "Run ensure_schema."),
    "no-transactions": Code("error", "Make the server a replica set: see README.md."),
    "half-restored": Code("error", "Run restore again with that archive, or drop the database."),
    "configuration": Code("warning", "Do as the message says, and start the servers again."),
    "large-document": Code("warning", "MongoDB takes 16 MiB: have its owner part the project."),
    "nearly-full": Code("warning", "Purge what isn't needed, or take a larger cluster."),
}


class Finding(NamedTuple):
    """One thing that is wrong, and where."""

    code: str
    where: str
    what: str
    project_id: str = ""
    kind: str = ""
    document_id: ObjectId | None = None
    hint: str = ""
    """What to do in this very case, if that isn't what the code says."""
    failure: str = ""
    """Why it couldn't be mended, once that was tried."""

    @property
    def what_to_do(self) -> str:
        if self.failure:
            return f"It could not be mended: {self.failure}. {CODES[self.code].instead or _BACKUP}"
        return self.hint or CODES[self.code].what_to_do

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    @property
    def is_mended(self) -> bool:
        return CODES[self.code].is_mended and not self.failure

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "where": self.where,
            "what": self.what,
            "what_to_do": self.what_to_do,
            "can_be_mended": self.is_mended,
        }
