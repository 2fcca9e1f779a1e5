"""What is done by hand to what is stored, for the doctor to find; each gets the folder of media."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId

from snipix.mongo import connection

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OLD = time.time() - 3 * 86_400


def collection(name: str) -> Any:
    return connection.database[name]


def timeline_of(project: str) -> dict[str, Any]:
    return {"projectId": project, "kind": "timeline"}


def remove_revision(media: Path) -> None:
    collection("revisions").delete_one({**timeline_of("film-0"), "version": 2})


def remove_newest_revision(media: Path) -> None:
    collection("revisions").delete_one({**timeline_of("film-1"), "version": 3})


def rewrite_revision(media: Path) -> None:
    other = collection("revisions").find_one({**timeline_of("film-1"), "version": 1})
    collection("revisions").update_one(
        {**timeline_of("film-0"), "version": 2}, {"$set": {"frame": other["frame"]}}
    )


def forge_digest(media: Path) -> None:
    collection("revisions").update_one(
        {**timeline_of("film-1"), "version": 2}, {"$set": {"digest": b"0" * 32}}
    )


def set_head_back(media: Path) -> None:
    names = ("version", "digest", "contentDigest", "layers", "markers", "updatedAt")
    old = KEPT["timelines"]
    collection("timelines").update_one(
        {"projectId": "film-0"}, {"$set": {name: old[name] for name in names}}
    )


def change_head(media: Path) -> None:
    collection("timelines").update_one({"projectId": "film-1"}, {"$set": {"zoom": 9.0}})


def spoil_head(media: Path) -> None:
    collection("projects").update_one({"projectId": "film-1"}, {"$set": {"name": ""}})


def distort_head(media: Path) -> None:
    collection("timelines").update_one({"projectId": "film-1"}, {"$set": {"layers": "none"}})


def misdirect_revision(media: Path) -> None:
    third = {**timeline_of("film-1"), "version": 3}
    collection("revisions").update_one(third, {"$set": {"fullVersion": 2}})


def misdirect_head(media: Path) -> None:
    collection("timelines").update_one({"projectId": "film-1"}, {"$set": {"fullVersion": 3}})


def miscount_chain(media: Path) -> None:
    collection("timelines").update_one({"projectId": "film-1"}, {"$set": {"chainSize": 0}})


def trash_head(media: Path) -> None:
    by_hand = {"isDeleted": True, "deletedAt": LONG_AGO}
    collection("projects").update_one({"projectId": "film-1"}, {"$set": by_hand})


def antedate_trash(media: Path) -> None:
    by_hand = {"$set": {"deletedAt": LONG_AGO}}
    collection("projects").update_one({"projectId": "film-3"}, by_hand)


def untrash_head(media: Path) -> None:
    by_hand = {"isDeleted": False, "deletedAt": None}
    collection("projects").update_one({"projectId": "film-3"}, {"$set": by_hand})


def mark_head(media: Path) -> None:
    collection("projects").update_one({"projectId": "film-1"}, {"$set": {"purgingAt": LONG_AGO}})


def trash_timeline(media: Path) -> None:
    collection("timelines").update_one({"projectId": "film-1"}, {"$set": {"isDeleted": True}})


def renew_revision(media: Path) -> None:
    newest = {**timeline_of("film-1"), "version": 3}
    collection("revisions").update_one(newest, {"$set": {"schemaVersion": 9}})


def renew_revision_and_set_head_back(media: Path) -> None:
    newest = {**timeline_of("film-0"), "version": 4}
    collection("revisions").update_one(newest, {"$set": {"schemaVersion": 9}})
    set_head_back(media)


def remove_head(media: Path) -> None:
    collection("timelines").delete_one({"projectId": "film-1"})


def drop_index(media: Path) -> None:
    collection("revisions").drop_index("projectId_1_documentId_1_kind_1_version_1")


def add_index(media: Path) -> None:
    collection("revisions").create_index("action")


def spoil_summary(media: Path) -> None:
    spoil_summary_of("film-0")


def spoil_summary_of(project: str) -> None:
    collection("projects").update_one({"projectId": project}, {"$set": {"timelineState.clips": 1}})


def spoil_transcription_summary(media: Path) -> None:
    collection("projects").update_one(
        {"projectId": "film-2"}, {"$set": {"transcriptionState.exists": False}}
    )


def spoil_readers(media: Path) -> None:
    collection("projects").update_one({"projectId": "film-0"}, {"$set": {"readers": ["charlie"]}})


def remove_piece(media: Path) -> None:
    collection("pieces").delete_one({"projectId": "film-0"})


def leave_piece(media: Path) -> None:
    collection("pieces").insert_one({"_id": b"left" * 4, "projectId": "film-0", "elements": []})


def leave_timeline(media: Path) -> None:
    left = collection("timelines").find_one({"projectId": "film-0"})
    collection("timelines").insert_one({**left, "_id": ObjectId(), "projectId": "gone"})


def leave_draft(media: Path) -> None:
    left = collection("drafts").find_one({"projectId": "film-1"})
    collection("drafts").insert_one({**left, "_id": ObjectId(), "projectId": "a"})


def distort_draft(media: Path) -> None:
    collection("drafts").update_one({"projectId": "film-1"}, {"$set": {"updatedAt": None}})


def distort_audit_entry(media: Path) -> None:
    collection("audit_entries").update_one({"projectId": "film-1"}, {"$set": {"createdAt": "now"}})


def distort_name(media: Path) -> None:
    collection("checkpoints").update_one({}, {"$set": {"version": "2"}})


def misname_project(media: Path) -> None:
    collection("checkpoints").update_one({}, {"$set": {"projectId": ["film-0"]}})


def remove_media(media: Path) -> None:
    next(media.rglob("projects/*/*.mp4")).unlink()


def leave_media(media: Path) -> None:
    left = next(media.rglob("projects/*/*.mp4")).with_name("left.mp4")
    left.write_bytes(b"frames")
    os.utime(left, (OLD, OLD))


def leave_newer_media(media: Path) -> None:
    """As a restore of a backup does that is older than the last upload."""
    leave_media(media)
    last_week = datetime.now(UTC) - timedelta(days=7)
    collection("projects").update_many({}, {"$set": {"updatedAt": last_week}})


def leave_folder(media: Path) -> None:
    key = ObjectId()
    entry = collection("audit_entries").find_one({"projectId": "film-0"}, {"_id": 0})
    purged = {"documentId": key, "action": "purge", "projectId": "gone"}
    collection("audit_entries").insert_one({**entry, **purged})
    leave_unknown_folder(media, key)


def leave_unknown_folder(media: Path, key: ObjectId | None = None) -> None:
    folder = media / "projects" / str(key or ObjectId())
    folder.mkdir()
    (folder / "left.mp4").write_bytes(b"frames")
    os.utime(folder / "left.mp4", (OLD, OLD))


KEPT: dict[str, Any] = {}


DAMAGE: list[tuple[Callable[[Path], None], list[str], str, bool]] = [
    (remove_revision, ["history-broken"], "version 2 is missing", False),
    (remove_newest_revision, ["history-cut"], "timeline of project film-1", False),
    (rewrite_revision, ["history-broken"], "timeline of project film-0", False),
    (forge_digest, ["history-broken"], "v2: the hash chain is broken", False),
    (set_head_back, ["head-behind"], "timeline of project film-0", True),
    (change_head, ["head-differs"], "timeline of project film-1", True),
    (spoil_head, ["head-differs"], "project of project film-1", True),
    (distort_head, ["head-differs"], "timeline of project film-1", True),
    (misdirect_revision, ["history-broken"], "it says that version 2 is whole", False),
    (misdirect_head, ["head-differs"], "builds on version 3", True),
    (miscount_chain, ["head-differs"], "and 0 bytes, its last version on", True),
    (trash_head, ["head-differs"], "in the trash since 2020", True),
    (antedate_trash, ["head-differs"], "in the trash since 2020", True),
    (untrash_head, ["head-differs"], "the head says not in the trash", True),
    (mark_head, ["purge-stuck"], "project of project film-1", False),
    (trash_timeline, ["head-differs"], "timeline of project film-1", True),
    (renew_revision, ["newer-schema"], "timeline of project film-1", False),
    (renew_revision_and_set_head_back, ["newer-schema"], "it is of schema 9", False),
    (remove_head, ["head-missing", "summary-wrong"], "timeline of project film-1", False),
    (drop_index, ["index-missing"], "revisions: projectId_1_documentId_1", True),
    (add_index, ["index-undeclared"], "revisions: action_1", False),
    (spoil_summary, ["summary-wrong"], "project of project film-0", True),
    (spoil_transcription_summary, ["summary-wrong"], "project of project film-2", True),
    (spoil_readers, ["derived-wrong"], "readers", True),
    (remove_piece, ["piece-missing"], "timeline of project film-0", True),
    (leave_piece, ["piece-orphaned"], "pieces of project film-0", True),
    (leave_timeline, ["orphan"], "timeline of project gone", False),
    (leave_draft, ["orphan"], "drafts of project a", False),
    (distort_draft, ["record-misshapen"], "drafts of project film-1", False),
    (distort_audit_entry, ["record-misshapen"], "createdAt of", False),
    (distort_name, ["record-misshapen"], "checkpoints of project film-0", False),
    (misname_project, ["stray"], "checkpoints: 1 documents", False),
    (remove_media, ["media-missing"], ".mp4", False),
    (leave_media, ["media-left"], "left.mp4", True),
    (leave_newer_media, ["media-newer"], "left.mp4", False),
    (leave_folder, ["media-orphaned"], "1 files of purged projects", True),
    (leave_unknown_folder, ["media-unknown"], "1 files of unknown projects", False),
]
"""What is done, what is found, what is told of it, and whether it is mended."""
