"""`manage.py doctor`: damage of every kind is found and named, and what can be mended is."""

import itertools
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projects.models import Project
from snipix import history, mongo, schemas, times
from snipix.doctor import checkup
from snipix.mongo import connection
from tests.backups.conftest import save
from tests.backups.test_backup import stored
from tests.conftest import Api
from tests.doctor.conftest import codes, doctor
from tests.doctor.damage import (
    DAMAGE,
    KEPT,
    collection,
    remove_revision,
    renew_revision,
    spoil_readers,
    spoil_summary,
)
from tests.together import meanwhile


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


def test_a_newer_schema_keeps_nothing_else_from_being_examined(films: list[str]) -> None:
    renew_revision(Path())
    spoil_readers(Path())
    assert codes(doctor()) == ["derived-wrong", "newer-schema"]
    told = doctor("--fix")
    assert (codes(told), codes(told, "mended")) == (["newer-schema"], ["derived-wrong"])


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
        {"projectId": "film-0"}, {"$set": {"updatedAt": times.read("2020-01-01T00:00:00Z")}}
    )
    remove_revision(Path())
    assert doctor("--since", "1")["projects"] == 3
    assert codes(doctor("--since", "1")) == []
    assert codes(doctor()) == ["history-broken"]


@pytest.mark.parametrize("days", ["0", "-1", "soon", "nan", "1e9"])
def test_bad_numbers_of_days_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="whole number from 1"):
        call_command("doctor", f"--since={days}", stdout=StringIO(), stderr=StringIO())


def test_an_address_that_makes_no_sense_is_said_to_be_one(settings: Any) -> None:
    settings.MONGODB_URI = "mongodb://127.0.0.1:99999/"
    with pytest.raises(CommandError, match="MONGODB_URI is malformed") as refused:
        call_command("doctor", stdout=StringIO(), stderr=StringIO())
    assert refused.value.returncode == 1


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
    with (
        meanwhile(saving(0)) as long,
        meanwhile(saving(1)) as short,
        meanwhile(saving(2)) as spoken,
    ):
        for _ in range(4):
            assert doctor()["findings"] == []
    assert len(long + short + spoken) > 10, "people saved meanwhile"
    assert doctor("--fix")["mended"] == []


def saving(number: int) -> Callable[[], None]:
    """One more change of a film, and of what else there is."""
    api, seeds = Api(), itertools.count(100 * number)

    def save_one() -> None:
        seed = next(seeds)
        save(api, f"film-{number}", seed, clips=200 if number == 0 else 30)
        if number == 2:
            path = "/projects/film-2/transcription/"
            api("POST" if seed % 2 else "DELETE", f"{path}restore/" if seed % 2 else path)
        if number == 1:
            id = api.create("New", id=f"new-{seed}")["id"]
            api("DELETE", f"/projects/{id}/")
            Project.everything.get(project_id=id).purge()

    return save_one
