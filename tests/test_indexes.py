"""`manage.py ensure_indexes`: what is declared, what exists, and how one becomes the other."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from snipix import indexes
from snipix.audit import AuditEntry
from snipix.mongo import connection
from tests.conftest import Api
from tests.together import meanwhile

UNIQUE = "projectId_1"
TTL = "createdAt_1"


@pytest.fixture(autouse=True)
def restored(db: None) -> Iterator[None]:
    """The indexes are those of all tests."""
    yield
    list(indexes.ensure(prune=True))


def ensure(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("ensure_indexes", *options, "--json", stdout=out)
    return json.loads(out.getvalue())


def projects() -> Any:
    return connection.get_collection("projects")


def found() -> list[tuple[str, str, str]]:
    return [drift[:3] for drift in indexes.drift()]


def test_nothing_differs_once_all_are_there() -> None:
    assert found() == []
    assert ensure()["drift"] == []
    ensure("--check")


def test_a_missing_index_is_found_and_made_again() -> None:
    projects().drop_index(UNIQUE)
    assert found() == [("projects", UNIQUE, "missing")]
    with pytest.raises(CommandError) as refused:
        ensure("--check")
    assert refused.value.returncode == 3
    assert found(), "a check changes nothing"
    assert [drift["name"] for drift in ensure()["drift"]] == [UNIQUE]
    assert projects().index_information()[UNIQUE]["unique"]
    assert found() == []


def test_what_isnt_declared_goes_with_prune_alone() -> None:
    projects().create_index("description")
    assert found() == [("projects", "description_1", "undeclared")]
    assert ensure()["drift"] == []
    assert "description_1" in projects().index_information()
    ensure("--prune")
    assert "description_1" not in projects().index_information()
    assert ensure("--prune")["drift"] == []


def test_the_key_of_documents_and_hashed_shard_keys_are_not_ours() -> None:
    existing = {"_id_": {"key": [("_id", 1)]}, "x": {"key": [("projectId", "hashed")]}}
    assert not [*indexes.differing("projects", (), existing)]


def test_a_retention_that_was_changed_is_set_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    index = next(i for i in AuditEntry.collection_indexes if i.document["name"] == TTL)
    monkeypatch.setitem(index.document, "expireAfterSeconds", 5)
    assert found() == [("audit_entries", TTL, "retention")]
    ensure()
    existing = connection.get_collection("audit_entries").index_information()
    assert existing[TTL]["expireAfterSeconds"] == 5
    assert found() == []


def test_an_index_of_other_options_is_named_and_only_built_anew_with_prune() -> None:
    projects().drop_index(UNIQUE)
    projects().create_index("projectId")
    connection.get_collection("timelines").drop_index(UNIQUE)
    with pytest.raises(CommandError, match=f"projects: {UNIQUE} has unique None, declared True"):
        ensure()
    assert found() == [("projects", UNIQUE, "differs")], "the others were made all the same"
    ensure("--prune")
    assert found() == []


def test_an_index_that_goes_by_another_name_is_built_anew_with_prune() -> None:
    projects().drop_index(UNIQUE)
    projects().create_index("projectId", name="by_hand", unique=True)
    out = StringIO()
    with pytest.raises(CommandError, match=r"another one has these keys.*--prune") as refused:
        call_command("ensure_indexes", stdout=out)
    assert (refused.value.returncode, out.getvalue()) == (4, "")
    assert [drift["problem"] for drift in ensure("--prune")["drift"]] == ["undeclared", "missing"]
    assert found() == []


def test_an_index_that_cant_be_built_is_named_and_in_nobodys_way() -> None:
    projects().drop_index(UNIQUE)
    projects().insert_many([{"projectId": "twin"}, {"projectId": "twin"}])
    connection.get_collection("timelines").drop_index(UNIQUE)
    why = "there are documents with the same projectId, which is to be unique"
    with pytest.raises(CommandError, match=f"projects: {UNIQUE} is missing, .*{why}") as refused:
        ensure()
    assert refused.value.returncode == 4
    assert found() == [("projects", UNIQUE, "missing")], "the others were made all the same"
    projects().delete_one({"projectId": "twin"})
    ensure()
    assert found() == []


def test_indexes_are_made_beside_writers(api: Api) -> None:
    with meanwhile(lambda: Api().create()["id"]) as made:
        while len(made) < 10:
            projects().drop_index(UNIQUE)
            ensure()
    assert projects().count_documents({}) == len(made)
    assert found() == []


def test_check_and_prune_exclude_each_other() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        ensure("--check", "--prune")
