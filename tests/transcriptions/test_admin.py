"""Transcriptions on the admin site: read as text, and trashed and restored like anything else."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from projects.models import Project
from snipix import history, queries
from snipix.audit import AuditEntry
from snipix.history import Revision
from tests.administration import act, actions, text, url
from tests.conftest import Api, entered
from transcriptions import admin
from transcriptions.models import Transcription


def segment(number: int, said: str, **more: Any) -> dict[str, Any]:
    """One that is spoken in the half second after second `number`."""
    return {
        "id": f"s{number}",
        "start_time": number,
        "end_time": number + 0.5,
        "text": said,
        "speaker_id": "a",
    } | more


STATE = {
    "language": "pt",
    "confidence_score": 0.934,
    "segments": [
        segment(0, "Good morning."),
        segment(1, "Welcome to Lisbon."),
        segment(2, "Thanks!", speaker_id="b"),
        segment(3_725, "Much later."),
        segment(3_726, "Nobody knows who.", speaker_id=None),
    ],
    "speakers": {"a": "Alice"},
}


def make(api: Api, state: dict[str, Any], name: str = "Film") -> Transcription:
    """The transcription of a new project of the anonymous owner."""
    project = api.create(name)["id"]
    made = api("POST", f"/projects/{project}/transcription/", state)
    assert made.status_code == 201, made.content
    return Transcription.objects.get(project_id=project)


@pytest.fixture
def transcription(api: Api) -> Transcription:
    return make(api, STATE)


def page_of(site: Client, document: Transcription | Project) -> str:
    response = site.get(url(type(document), "change", document.pk))
    assert response.status_code == 200
    return text(response)


def transcript(site: Client, transcription: Transcription) -> list[str]:
    """What people read of its page: speakers, and paragraphs with their headings."""
    page = page_of(site, transcription)
    shown = page[page.index("snipix-contents snipix-transcript") :]
    parts = re.findall(r"(?s)<(p|h3)\b[^>]*>(.*?)</\1>", shown[: shown.index("</div>")])
    return [" ".join(html.unescape(re.sub("<[^>]+>", "", part)).split()) for _, part in parts]


# --- Read ------------------------------------------------------------------------------------


def test_the_transcript_is_text_with_speakers_and_times(
    site: Client, transcription: Transcription
) -> None:
    assert transcript(site, transcription) == [
        "Speakers: 2: Alice (a), b",
        "0:00:00 Alice", "Good morning. Welcome to Lisbon.",
        "0:00:02 b", "Thanks!",
        "1:02:05 Alice", "Much later.",
        "1:02:06 Speaker unknown", "Nobody knows who.",
    ]  # fmt: skip


def test_a_pause_begins_a_paragraph(site: Client, api: Api) -> None:
    made = make(api, {"segments": [segment(n, f"Word {n}.") for n in (0, 1, 3, 59, 60)]})
    assert transcript(site, made)[1:] == [
        "0:00:00 a", "Word 0. Word 1. Word 3.", "0:00:59 a", "Word 59. Word 60.",
    ]  # fmt: skip


def test_who_goes_on_speaking_gets_a_time_each_minute(site: Client, api: Api) -> None:
    made = make(api, {"segments": [segment(n, f"Word {n}.") for n in range(5, 130)]})
    shown = transcript(site, made)
    assert shown[1::2] == ["0:00:05 a", "0:01:05 a", "0:02:05 a"]
    assert [said.split()[-1] for said in shown[2::2]] == ["64.", "124.", "129."]


def test_a_page_says_how_it_was_made(site: Client, api: Api) -> None:
    known = make(api, STATE | {"model_used": "whisper-large", "is_complete": True})
    page = page_of(site, known)
    for shown in ("whisper-large", ">93%<", ">pt<", "icon-yes", 'lang="pt"'):
        assert shown in page
    assert ">unknown<" in page_of(site, make(api, {}))


def test_what_was_edited_and_what_is_unsure_is_marked(site: Client, api: Api) -> None:
    made = make(api, {
        "segments": [
            segment(0, "Hello word.", edited_text="Hello world.", confidence=0.1),
            segment(1, "Mumbled.", confidence=0.31),
            segment(2, "Clear.", confidence=0.5),
        ]
    })  # fmt: skip
    page = page_of(site, made)
    edited = (
        '<span class="snipix-edited" title="Edited. Recognised as “Hello word.”">Hello world. ✎'
    )
    unsure = '<span class="snipix-unsure" title="Confidence 31%">Mumbled.'
    assert (page.count(edited), page.count(unsure)) == (1, 1)
    assert page.count('<span class="snipix-') == 2


def test_markup_is_text_wherever_it_stands(site: Client, api: Api) -> None:
    bad = "\"'><script>alert(1)</script>{{ 1 }}"
    made = make(api, {
        "language": bad,
        "model_used": bad,
        "segments": [segment(0, bad, edited_text=bad), segment(1, bad, speaker_id=bad)],
        "speakers": {"a": bad, "c": bad},
    }, name=bad)  # fmt: skip
    pages = [page_of(site, made), page_of(site, Project.objects.get())]
    pages += [text(site.get(url(Transcription, page, *args))) for page, args in
              (("changelist", ()), ("history", (made.pk,)), ("delete", (made.pk,)))]  # fmt: skip
    assert not [page for page in pages if "<script>alert" in page]
    assert pages[0].count("&lt;script&gt;alert(1)") >= 8
    assert transcript(site, made)[2].startswith(bad)


# --- Bounded ---------------------------------------------------------------------------------


def test_a_page_shows_the_first_segments_and_where_the_rest_is(site: Client, api: Api) -> None:
    made = make(api, {"segments": [segment(n, f"Word {n}.") for n in range(502)]})
    *_, last, more = transcript(site, made)
    assert last.endswith("Word 498. Word 499.")
    assert more.startswith("2 more segments.")
    address = f"/api/v1/projects/{made.project_id}/transcription/captions/?format=txt"
    assert f'href="{address}"' in page_of(site, made)
    assert b"Word 501." in site.get(address).content
    assert "more segment" not in page_of(site, make(api, STATE))


def test_long_texts_and_many_speakers_dont_make_a_page_long(site: Client, api: Api) -> None:
    long = [segment(n, "w" * 20_000, edited_text="e" * 20_000) for n in range(30)]
    names = {f"{n:03}": f"Speaker {n:03}" for n in range(150)}
    made = make(api, {"segments": long, "speakers": names})
    shown = transcript(site, made)
    assert shown[0].endswith("Speaker 099 (099), and 51 more")
    assert shown[-1].startswith("20 more segments.")
    assert len(page_of(site, made)) < admin.MOST_LETTERS + 50_000


def test_a_page_asks_the_same_however_much_there_is(site: Client, api: Api) -> None:
    def asked(made: Transcription) -> int:
        with queries.recorded() as commands:
            page_of(site, made)
        return len(commands)

    short = make(api, STATE)
    asked(short)  # what a process remembers, it has asked by now
    few = asked(short)
    many = asked(make(api, {"segments": [segment(n, "Word.") for n in range(600)]}))
    assert many - few in (0, 1), "one more for all pieces together, unless they are remembered"


@pytest.mark.parametrize("query", ["", "?trash=yes", "?q={live}", "?trash=yes&q={trashed}"])
def test_an_index_serves_the_lists_in_their_order(site: Client, api: Api, query: str) -> None:
    live, trashed = make(api, STATE), make(api, STATE)
    trashed.delete()
    address = query.format(live=live.project_id, trashed=trashed.project_id)
    with queries.recorded() as commands:
        assert site.get(url(Transcription, "changelist") + address).status_code == 200
    asked = [c["pipeline"] for c in commands if next(iter(c.values())) == "transcriptions"]
    assert len(asked) == 2, "a count and a page"
    for pipeline in asked:
        # Pages are skipped to, up to the MOST documents of a list.
        stages = [stage for stage in pipeline if "$skip" not in stage]
        for shape in queries.shapes({"aggregate": "transcriptions", "pipeline": stages}):
            served_by = shape.served_by or "none"
            # Not by `_id`, past whatever else there is: the trash may be all, or nearly nothing.
            assert re.search("isDeleted|projectId", served_by), f"{served_by}: {shape}"
    assert asked[1][-1] == {"$project": {"segments": 0, "speakers": 0, "metadata": 0}}


def test_the_newest_comes_first_and_in_the_trash_the_last_trashed(site: Client, api: Api) -> None:
    made = [make(api, STATE, name) for name in ("One", "Two", "Three")]

    def listed(query: str) -> list[int]:
        page = text(site.get(url(Transcription, "changelist") + query))
        keys = [str(each.pk) for each in made]
        return [keys.index(key) for key in re.findall(r"/transcription/(\w{24})/change/", page)]

    assert (listed(""), listed("?trash=yes")) == ([2, 1, 0], [])
    for number in (1, 0):
        made[number].delete()
    assert (listed(""), listed("?trash=yes")) == ([2], [0, 1])
    assert listed(f"?trash=yes&q={made[1].project_id}") == [1]


# --- The trash -------------------------------------------------------------------------------


def test_trash_and_restore_are_changes_of_the_administrators(
    site: Client, root: User, transcription: Transcription
) -> None:
    assert "Moved to the trash: 1" in text(act(site, "delete_selected", transcription))
    assert not Transcription.objects.exists()
    assert Project.objects.get().transcription_state["exists"] is False
    page = page_of(site, transcription)
    assert "In the trash since" in page
    assert "restore_selected" in page
    assert "Good morning." in page
    response = act(site, "restore_selected", transcription, query="?trash=yes")
    assert "Restored: 1" in text(response)
    transcription.refresh_from_db()
    assert (transcription.is_deleted, history.verify(transcription)) == (False, 3)
    assert Project.objects.get().transcription_state["segments"] == 5
    by_root = [("delete", "admin", str(root.pk)), ("restore", "admin", str(root.pk))]
    assert actions(transcription)[1:] == by_root


def test_the_delete_button_means_the_trash_and_says_so(
    site: Client, root: User, transcription: Transcription
) -> None:
    assert "Move to the trash" in page_of(site, transcription)
    page = text(site.get(url(Transcription, "delete", transcription.pk)))
    assert "destroyed only together with that" in page
    assert "can be restored" in page
    site.post(url(Transcription, "delete", transcription.pk), {"post": "yes"})
    assert Transcription.everything.get().is_deleted
    assert actions(transcription)[-1] == ("delete", "admin", str(root.pk))
    assert Project.objects.count() == 1


@pytest.mark.parametrize("query", ["", "?trash=yes"])
def test_nobody_destroys_one_alone(site: Client, transcription: Transcription, query: str) -> None:
    transcription.delete()
    assert "purge_selected" not in text(site.get(url(Transcription, "changelist") + query))
    data = {"action": "purge_selected", "_selected_action": str(transcription.pk), "post": "yes"}
    assert site.post(url(Transcription, "changelist") + query, data).status_code in (200, 302)
    assert Transcription.everything.count() == 1
    assert Revision.objects.filter(kind="transcription").count() == 2


@pytest.mark.parametrize("is_deleted", [False, True])
def test_nobody_edits_one_here(
    site: Client, transcription: Transcription, is_deleted: bool
) -> None:
    if is_deleted:
        transcription.delete()
    page = page_of(site, transcription)
    assert 'name="_save"' not in page
    assert 'name="language"' not in page
    before = Transcription.everything.get().version
    data = {"language": "en", "opened_at": before}
    answer = site.post(url(Transcription, "change", transcription.pk), data)
    assert answer.status_code == (302 if is_deleted else 403)
    assert site.post(url(Transcription, "add"), data).status_code == 403
    kept = Transcription.everything.get()
    assert (kept.version, kept.language) == (before, "pt")


def test_only_who_has_the_right_trashes_and_restores(
    transcription: Transcription, bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)

    def try_both_with(*rights: str) -> bool:
        """Returns whether it is in the trash afterwards."""
        names = [f"{right}_transcription" for right in ("view", *rights)]
        bob.user_permissions.set(Permission.objects.filter(codename__in=names))
        site = entered(User.objects.get(pk=bob.pk))
        assert "Good morning." in page_of(site, transcription)
        is_live = not Transcription.everything.get().is_deleted
        action, query = ("delete_selected", "") if is_live else ("restore_selected", "?trash=yes")
        act(site, action, transcription, query=query)
        return Transcription.everything.get().is_deleted

    assert try_both_with("change") is False
    assert try_both_with("delete") is True
    assert try_both_with("delete") is True
    assert try_both_with("change") is False


# --- Its project -----------------------------------------------------------------------------


def test_a_project_leads_to_its_transcription_also_in_the_trash(site: Client, api: Api) -> None:
    without = Project.objects.get(project_id=api.create("Silent")["id"])
    page = page_of(site, without)
    assert url(Transcription, "change", without.pk) not in page
    transcription = make(api, STATE)
    project = Project.objects.get(pk=transcription.pk)
    link = f'<a href="{url(Transcription, "change", project.pk)}">Transcription</a>'
    page = page_of(site, project)
    assert link in page
    assert "5 segments, version 1" in page
    transcription.delete()
    page = page_of(site, project)
    assert link in page
    assert "in the trash, version 2" in page


def test_a_transcription_leads_to_its_project_history_and_audit(
    site: Client, transcription: Transcription
) -> None:
    page = page_of(site, transcription)
    key = transcription.pk
    audit = f"{url(AuditEntry, 'changelist')}?project_id={transcription.project_id}"
    for address in (url(Project, "change", key), url(Transcription, "history", key), audit):
        assert f'href="{address}"' in page
        assert site.get(address).status_code == 200
    assert "versions 1 to 1 of 1" in text(site.get(url(Transcription, "history", key)))


def test_with_its_project_in_the_trash_its_page_says_so(
    site: Client, transcription: Transcription
) -> None:
    said = "in the trash, and its transcription with it"
    assert said not in page_of(site, transcription)
    Project.objects.get().delete()
    assert said in page_of(site, transcription)


def test_captions_are_no_link_from_the_trash(site: Client, api: Api) -> None:
    made = make(api, {"segments": [segment(n, "Word.") for n in range(501)]})
    assert "captions" in page_of(site, made)
    made.delete()
    page = page_of(site, made)
    assert "1 more segment." in page
    assert "captions" not in page
