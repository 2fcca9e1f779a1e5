"""Whatever somebody sets a field to, by hand: the doctor names it, and no traceback ends it."""

from collections.abc import Iterator
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from projects.models import Project
from snipix import belongings, schemas
from snipix.belongings import Belonging
from snipix.doctor import examination, mending
from snipix.doctor.examination import examine
from snipix.doctor.findings import Finding
from snipix.documents import MENDED
from snipix.mongo import connection
from tests.doctor.conftest import codes, doctor

OTHERS: tuple[Any, ...] = (None, "by hand", 7.5, True, [], ["by hand"], {}, {"by": "hand"}, b"hand")
"""A value of every type."""
MAY_BE_NONE = {"deletedAt", "heldAt", "purgingAt"}
FREE = {"action", "changeSummary", "createdBy", "description", "size", "userId", "sortDuration"}
"""What is any text, or any number, as far as a history can tell."""


def _altered(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every field with every value of another type."""
    for key, value in document.items():
        for other in OTHERS:
            is_free = key in FREE and isinstance(other, (str, float))
            is_none = key in MAY_BE_NONE and other is None
            if other != value and not is_free and not is_none and key != "projectId":
                yield key, other


@pytest.mark.parametrize("collection", ["projects", "timelines", "revisions", "pieces"])
def test_whatever_a_field_is_set_to_is_named(films: list[str], collection: str) -> None:
    found = list(belongings.read(belongings.raw(connection.database), {"$eq": "film-0"}))
    assert examine("film-0", found).findings == []
    place = next(n for n, one in enumerate(found) if one.collection == collection)
    stored = bson.decode(found[place].document.raw)
    tried = 0
    for key, value in _altered(stored):
        document = RawBSONDocument(bson.encode({**stored, key: value}))
        again = [*found[:place], Belonging("film-0", collection, document), *found[place + 1 :]]
        assert examine("film-0", again).findings, f"{collection}: {key} is {value!r}"
        tried += 1
    assert tried > 15


@pytest.mark.parametrize(
    ("collection", "values", "left"),
    [
        ("projects", {"timelineState": None, "readers": None}, []),
        ("projects", {"timelineState": [], "transcriptionState": "none"}, []),
        ("projects", {"readers": "alice", "keys": 7, "name": None, "collaborators": None}, []),
        ("projects", {"updatedAt": None, "name": ""}, ["misshapen"]),
        ("timelines", {"version": "3"}, ["misshapen"]),
        ("timelines", {"schemaVersion": None}, ["misshapen"]),
        ("timelines", {"layers": None, "digest": None}, ["misshapen"]),
        ("timelines", {"layers": {"pieces": None}}, []),
        ("revisions", {"frame": None}, ["misshapen"]),
        ("revisions", {"digest": None}, ["misshapen"]),
    ],
)
def test_one_such_document_keeps_no_other_from_being_examined_or_mended(
    films: list[str], collection: str, values: dict[str, Any], left: list[str]
) -> None:
    damaged = connection.database[collection]
    damaged.update_one({"projectId": "film-0"}, {"$set": values})
    connection.database["projects"].update_one({"projectId": "film-1"}, {"$set": {"keys": []}})
    told = doctor()
    assert told["projects"] + any(f["code"] == "misshapen" for f in told["findings"]) >= 4
    assert {f["where"].split()[-1] for f in told["findings"]} == {"film-0", "film-1"}
    told = doctor("--fix")
    assert "derived-wrong" in codes(told, "mended")
    assert codes(told) == left
    assert not any(finding["can_be_mended"] for finding in told["findings"])
    connection.database[MENDED].drop()


def test_what_could_not_be_mended_is_told_with_the_reason_and_what_to_do(films: list[str]) -> None:
    values = {"$set": {"name": "", "extra": 1}}
    connection.database["projects"].update_one({"projectId": "film-1"}, values)
    validator = {"$jsonSchema": schemas.schema_of(Project)}
    connection.database.command("collMod", "projects", validator=validator)
    try:
        told = doctor("--fix")
    finally:
        connection.database.command("collMod", "projects", validator={})
    (left,) = told["findings"]
    assert (left["code"], left["can_be_mended"]) == ("head-differs", False)
    assert left["what_to_do"].startswith("It could not be mended: it doesn't fit its validator")
    assert "Restore the project from a backup" in left["what_to_do"]
    assert told["mended"] == []


def test_a_head_without_its_time_is_made_again_all_the_same(films: list[str]) -> None:
    values = {"$set": {"name": "", "updatedAt": None}}
    connection.database["projects"].update_one({"projectId": "film-1"}, values)
    key = Project.everything.get(project_id="film-1").pk
    found = Finding("head-differs", "", "", "film-1", "project", key)
    assert mending.mend(found)
    assert doctor()["findings"] == []
    connection.database[MENDED].drop()


def test_what_nobody_foresaw_is_named(films: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = examination.wanted_summaries

    def fail_on_one(project: Any, *arguments: Any) -> Any:
        if project.project_id == "film-1":
            raise TypeError("by hand")
        return wanted(project, *arguments)

    monkeypatch.setattr(examination, "wanted_summaries", fail_on_one)
    told = doctor()
    assert codes(told) == ["misshapen"]
    assert told["findings"][0]["where"] == "all of project film-1"
    assert told["projects"] == 4
