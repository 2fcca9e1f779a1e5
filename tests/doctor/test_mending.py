"""`manage.py doctor --fix`: what it mends, what it keeps, and what it leaves alone."""

import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from bson import ObjectId
from django.core.management import CommandError, call_command

from media import storage
from projects.models import Project
from snipix import history, times
from snipix.audit import AuditEntry
from snipix.doctor import checkup, mending
from snipix.documents import MENDED
from tests.backups.conftest import save
from tests.conftest import Api
from tests.doctor.conftest import codes, doctor
from tests.doctor.damage import (
    OLD,
    change_head,
    collection,
    drop_index,
    leave_folder,
    leave_piece,
    leave_unknown_folder,
    remove_piece,
    remove_revision,
    spoil_head,
    spoil_readers,
    spoil_summary,
    spoil_summary_of,
    timeline_of,
)
from timelines.models import Timeline


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
    assert mending.mend_all([finding]) == ([], []), "nor told to be left"


def test_what_mending_changes_nothing_of_is_told_beside_it(
    films: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_LARGE_BYTES", checkup.check_up().sizes.largest[0][0] - 1)
    for project in films:
        spoil_summary_of(project)
    told = doctor("--fix")
    assert (codes(told), set(codes(told, "mended"))) == (["large-document"], {"summary-wrong"})


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
        looked_at.extend([key] if key not in there else [])
        return files_of(key)

    there = set(Project.everything.values_list("pk", flat=True))
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


def test_an_index_that_can_not_be_built_keeps_nothing_else_from_being_mended(
    films: list[str],
) -> None:
    drop_index(Path())
    collection("drafts").drop_indexes()
    twice = collection("revisions").find_one(timeline_of("film-0"))
    collection("revisions").insert_one({**twice, "_id": ObjectId()})
    change_head(Path())
    told = doctor("--fix")
    assert codes(told) == ["history-broken", "index-missing"]
    assert {"head-differs", "index-missing"} <= {f["code"] for f in told["mended"]}
    left = next(f for f in told["findings"] if f["code"] == "index-missing")
    assert left["where"].startswith("revisions: projectId_1_documentId_1_kind_1_version_1")
    assert "to be unique. Of documents with the same key" in left["what_to_do"]
    assert not left["can_be_mended"]
    collection("revisions").delete_many(timeline_of("film-0"))
    collection(MENDED).drop()
