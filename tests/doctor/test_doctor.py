"""`manage.py doctor`: damage of every kind is found and named, and what can be mended is."""

import os
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.core.management import CommandError, call_command
from django.db import connections

from media import storage
from projects.models import Project
from snipix import history, mongo, schemas, times
from snipix.audit import AuditEntry
from snipix.doctor import checkup, mending
from snipix.documents import MENDED
from snipix.mongo import connection
from tests.backups.conftest import save
from tests.backups.test_backup import stored
from tests.conftest import Api
from tests.doctor.conftest import codes, doctor
from timelines.models import Timeline

OLD = time.time() - 3 * 86_400


def collection(name: str) -> Any:
    return connection.database[name]


def timeline_of(project: str) -> dict[str, Any]:
    return {"projectId": project, "kind": "timeline"}


# --- Damage. Each: what is done, what is found, where, whether it is mended.


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
    collection("projects").update_one({"projectId": "film-0"}, {"$set": {"timelineState.clips": 1}})


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


def remove_media(media: Path) -> None:
    next(media.rglob("projects/*/*.mp4")).unlink()


def leave_media(media: Path) -> None:
    left = next(media.rglob("projects/*/*.mp4")).with_name("left.mp4")
    left.write_bytes(b"frames")
    os.utime(left, (OLD, OLD))


def leave_folder(media: Path) -> None:
    key = ObjectId()
    collection("audit_entries").insert_one({"documentId": key, "action": "purge"})
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
    (remove_media, ["media-missing"], ".mp4", False),
    (leave_media, ["media-left"], "left.mp4", True),
    (leave_folder, ["media-orphaned"], "1 files of purged projects", True),
    (leave_unknown_folder, ["media-unknown"], "1 files of unknown projects", False),
]


def test_what_is_healthy_is_told_so(films: list[str]) -> None:
    told = doctor()
    assert told["findings"] == []
    assert (told["projects"], told["versions"]) == (4, history.Revision.objects.count())
    sizes = told["sizes"]
    assert sizes["data_bytes"] > sizes["collections"]["revisions"] > 0
    assert 0 < sizes["free_tier_share"] < 0.1
    assert len(sizes["largest"]) == 5
    assert sizes["week_bytes"] > 0


@pytest.mark.parametrize(
    ("damage", "expected", "named", "is_mended"), DAMAGE, ids=[d[0].__name__ for d in DAMAGE]
)
def test_damage_is_found_and_named_and_mended_if_it_is_said(
    films: list[str],
    api: Api,
    media: Path,
    damage: Callable[[Path], None],
    expected: list[str],
    named: str,
    is_mended: bool,
) -> None:
    KEPT["timelines"] = collection("timelines").find_one({"projectId": "film-0"})
    save(api, "film-0", 5, clips=200)
    whole = meaning()
    damage(media)
    damaged = stored()
    told = doctor()
    assert codes(told) == expected
    assert any(named in f"{f['where']}: {f['what']}" for f in told["findings"])
    assert all(finding["what_to_do"] for finding in told["findings"])
    assert told["findings"][0]["can_be_mended"] == is_mended
    assert stored() == damaged, "nothing is changed without --fix"
    told = doctor("--fix")
    if is_mended:
        assert (codes(told), codes(told, "mended")[:1]) == ([], expected[:1])
        assert doctor()["findings"] == [], "a second run is clean"
        assert meaning() == whole, "all is as it was before the damage"
    else:
        assert expected[0] in codes(told)
        for key, document in damaged.items():
            if key[0] in ("revisions", "timelines", "drafts"):
                assert stored()[key] == document, "nothing is lost"


def meaning() -> dict[Any, Any]:
    """What is stored but for what mending may leave: when something was held, and who mended."""
    heads = ("projects", "timelines", "transcriptions")
    return {
        (name, str(one["_id"])): {k: v for k, v in one.items() if k != "heldAt"}
        for name in (*heads, "revisions", "pieces", "checkpoints", "drafts")
        for one in collection(name).find()
    }


def test_a_head_that_is_replaced_is_kept_as_it_was(films: list[str]) -> None:
    change_head(Path())
    doctor("--fix")
    kept = collection(MENDED).find_one({"projectId": "film-1"})
    assert (kept["collection"], kept["document"]["zoom"]) == ("timelines", 9.0)
    collection(MENDED).drop()
    entry = AuditEntry.objects.get(action="mend")
    assert (entry.kind, entry.user_id, entry.to_version) == ("timeline", "system", 3)


@pytest.mark.parametrize("damage", [spoil_summary, spoil_readers])
def test_a_project_whose_summary_or_fields_are_computed_again_is_kept_as_it_was(
    films: list[str], damage: Callable[[Path], None]
) -> None:
    damage(Path())
    damaged = collection("projects").find_one({"projectId": "film-0"})
    began = times.now()
    doctor("--fix")
    (kept,) = collection(MENDED).find({"projectId": "film-0"})
    assert (kept["collection"], kept["document"]) == ("projects", damaged)
    entry = AuditEntry.objects.get(action="mend")
    assert (entry.kind, entry.user_id, entry.project_id) == ("project", "system", "film-0")
    assert entry.from_version == entry.to_version == damaged["version"]
    assert entry.created_at >= began, "it was mended now, and not when it was saved last"


def test_what_somebody_else_has_mended_meanwhile_is_not_mended_again(films: list[str]) -> None:
    spoil_summary(Path())
    (finding,) = [f for f in checkup.check_up().findings if f.project_id]
    assert mending.mend(finding)
    assert not mending.mend(finding)
    assert AuditEntry.objects.filter(action="mend").count() == 1


def test_so_are_its_pieces(films: list[str]) -> None:
    by_hand = {"$set": {"elements.0.metadata": {"by": "hand"}}}
    collection("pieces").update_one({"projectId": "film-0"}, by_hand)
    assert codes(doctor("--fix"), "mended") == ["head-differs"]
    kept = collection(MENDED).find({"projectId": "film-0", "collection": "pieces"})
    first = [one["document"]["elements"][0]["metadata"] for one in kept]
    collection(MENDED).drop()
    assert first.count({"by": "hand"}) == 1


def test_what_was_kept_of_a_project_goes_with_it(films: list[str]) -> None:
    change_head(Path())
    doctor("--fix")
    assert collection(MENDED).count_documents({"projectId": "film-1"}) == 1
    project = Project.objects.get(project_id="film-1")
    project.delete()
    Project.everything.get(pk=project.pk).purge()
    assert collection(MENDED).count_documents({"projectId": "film-1"}) == 0


@pytest.mark.parametrize("versions", [1, 9], ids=["the newest", "all"])
def test_media_that_only_a_missing_version_names_stay(
    films: list[str], media: Path, versions: int
) -> None:
    files = list(media.rglob("projects/*/*"))
    for file in files:
        os.utime(file, (OLD, OLD))
    whose = {"projectId": "film-2", "kind": "project"}
    for revision in collection("revisions").find(whose).sort("version", -1).limit(versions):
        collection("revisions").delete_one({"_id": revision["_id"]})
    assert codes(doctor("--fix")) == ["history-cut" if versions == 1 else "history-missing"]
    assert list(media.rglob("projects/*/*")) == files


def test_pieces_stay_as_long_as_they_may_be_all_that_is_left(films: list[str]) -> None:
    pieces = list(collection("pieces").find())
    remove_revision(Path())
    collection("timelines").update_one({"projectId": "film-0"}, {"$set": {"layers": []}})
    assert codes(doctor("--fix")) == ["history-broken"]
    assert list(collection("pieces").find()) == pieces


def test_what_cannot_be_read_keeps_nothing_else_from_being_mended(films: list[str]) -> None:
    remove_revision(Path())
    collection("timelines").update_one({"projectId": "film-0"}, {"$set": {"layers": "none"}})
    spoil_readers(Path())
    change_head(Path())
    told = doctor("--fix")
    assert codes(told) == ["history-broken"]
    assert codes(told, "mended") == ["derived-wrong", "head-differs"]
    collection(MENDED).drop()


@pytest.mark.parametrize("damage", [spoil_readers, spoil_head])
def test_what_is_being_destroyed_is_not_brought_back(
    films: list[str], damage: Callable[[Path], None]
) -> None:
    project = Project.objects.get(project_id="film-0" if damage is spoil_readers else "film-1")
    project.delete()
    damage(Path())
    found = [f for f in checkup.check_up().findings if f.project_id == project.project_id]
    assert found
    project.mark()
    assert not any(map(mending.mend, found))
    assert Project.everything.get(pk=project.pk).readers == []


def test_what_was_mended_can_be_worked_on(films: list[str], api: Api) -> None:
    remove_piece(Path())
    doctor("--fix")
    save(api, "film-0", 60, clips=200)
    assert history.verify(Timeline.objects.get(project_id="film-0")) == 4
    assert doctor()["findings"] == []


def test_readers_see_what_was_mended_at_once(films: list[str], api: Api) -> None:
    before = api("GET", "/projects/film-0/").json()
    spoil_summary(Path())
    spoil_readers(Path())
    doctor("--fix")
    assert api("GET", "/projects/film-0/").json() == before


def test_media_of_many_purged_projects_are_looked_at_twice_and_told_once(
    films: list[str], media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        leave_folder(media)
    looked_at, files_of = [], storage.files_of

    def counted(key: object) -> list[str]:
        looked_at.append(key)
        return files_of(key)

    monkeypatch.setattr(storage, "files_of", counted)
    told = doctor("--fix")
    assert (codes(told), codes(told, "mended")) == ([], ["media-orphaned"])
    assert "30 files of purged projects, in 30 folders" in told["mended"][0]["what"]
    assert len(looked_at) == 2 * 30, "to find them, and to remove them"
    assert {path.parent.name for path in media.rglob("projects/*/*")} == {
        str(key)
        for key in Project.everything.values_list("pk", flat=True)
        if (media / "projects" / str(key)).exists()
    }


def test_media_of_which_the_database_knows_nothing_are_told_and_stay(
    films: list[str], media: Path
) -> None:
    leave_unknown_folder(media)
    files = list(media.rglob("projects/*/*"))
    assert codes(doctor("--fix")) == ["media-unknown"]
    assert list(media.rglob("projects/*/*")) == files


def test_several_kinds_of_damage_are_mended_in_one_run(films: list[str]) -> None:
    for damage in (change_head, spoil_head, spoil_summary, leave_piece, drop_index):
        damage(Path())
    told = doctor("--fix")
    assert len(told["mended"]) >= 5
    assert told["findings"] == doctor()["findings"] == []


def test_a_newer_schema_keeps_nothing_else_from_being_examined(films: list[str]) -> None:
    renew_revision(Path())
    spoil_readers(Path())
    assert codes(doctor()) == ["derived-wrong", "newer-schema"]
    told = doctor("--fix")
    assert (codes(told), codes(told, "mended")) == (["newer-schema"], ["derived-wrong"])


def test_damage_that_can_not_be_mended_is_in_nobodys_way(films: list[str]) -> None:
    """All in one project: what can be mended is, beside a history that can't."""
    remove_revision(Path())
    for name, value in (("name", ""), ("timelineState.clips", 1), ("readers", ["charlie"])):
        collection("projects").update_one({"projectId": "film-0"}, {"$set": {name: value}})
    assert codes(doctor("--fix")) == ["history-broken"]
    assert codes(doctor()) == ["history-broken"]


def test_an_interrupted_fix_goes_on(films: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for damage in (change_head, spoil_summary):
        damage(Path())
    with monkeypatch.context() as patched:
        patched.setattr(mending, "_keep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(CommandError, match="Interrupted"):
            call_command("doctor", "--fix", stdout=StringIO(), stderr=StringIO())
    doctor("--fix")
    assert doctor()["findings"] == []


def test_a_missing_validator_is_found(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On MongoDB: on the embedded server, `make run` sets none."""
    monkeypatch.setattr(mongo, "is_embedded", lambda: False)

    def found() -> list[str]:
        return [f.where for f in checkup.rules() if f.code == "validator-differs"]

    unguarded = set(connection.database.list_collection_names())
    list(schemas.ensure())
    try:
        assert found() == []
        connection.database.command("collMod", "drafts", validator={})
        assert found() == ["drafts"]
    finally:
        for name in connection.database.list_collection_names():
            if name in unguarded:
                connection.database.command("collMod", name, validator={})


def test_only_what_was_changed_lately_can_be_looked_into(films: list[str]) -> None:
    collection("projects").update_one(
        {"projectId": "film-0"}, {"$set": {"updatedAt": checkup.times.read("2020-01-01T00:00:00Z")}}
    )
    remove_revision(Path())
    assert doctor("--since", "1")["projects"] == 3
    assert codes(doctor("--since", "1")) == []
    assert codes(doctor()) == ["history-broken"]


@pytest.mark.parametrize("days", ["0", "-1", "soon", "nan", "1e9"])
def test_bad_numbers_of_days_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="number of days"):
        call_command("doctor", f"--since={days}", stdout=StringIO(), stderr=StringIO())


def test_people_are_told_what_to_do(films: list[str], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    spoil_summary(Path())
    out = StringIO()
    with pytest.raises(CommandError) as told:
        call_command("doctor", stdout=out, stderr=StringIO())
    assert told.value.returncode == 3
    text = out.getvalue()
    assert "warning  summary-wrong: project of project film-0" in text
    assert "Run doctor --fix: the summary is computed again." in text
    assert "configuration: snipix.W001: ALLOWED_HOSTS accepts every host name." in text


def test_nothing_is_found_beside_people_who_save(films: list[str]) -> None:
    """Every kind of change, all the time; each run of the doctor is clean."""
    is_over = threading.Event()
    saves: list[int] = []
    threads = [
        threading.Thread(target=_save_all_the_time, args=(number, is_over, saves))
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            assert doctor()["findings"] == []
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert len(saves) > 10, "people saved meanwhile"
    assert doctor("--fix")["mended"] == []


def _save_all_the_time(number: int, is_over: threading.Event, saves: list[int]) -> None:
    api, seed = Api(), 100 * number
    try:
        while not is_over.is_set():
            seed += 1
            save(api, f"film-{number}", seed, clips=200 if number == 0 else 30)
            if number == 2:
                path = "/projects/film-2/transcription/"
                api("DELETE" if seed % 2 else "POST", path if seed % 2 else f"{path}restore/")
            if number == 1:
                id = api.create("New", id=f"new-{seed}")["id"]
                api("DELETE", f"/projects/{id}/")
                Project.everything.get(project_id=id).purge()
            saves.append(seed)
    finally:
        connections.close_all()
