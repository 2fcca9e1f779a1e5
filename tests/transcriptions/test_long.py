"""Three hours of speech: 30,000 words, some 4 MB of JSON."""

import pytest

from snipix import history, states
from snipix.demo.story import document_sizes
from snipix.history import Revision
from tests.conftest import Api
from transcriptions import samples
from transcriptions.models import Transcription

SPEECH = samples.transcription(1, 30_000)


@pytest.fixture
def path(api: Api) -> str:
    path = f"/projects/{api.create()['id']}/transcription/"
    assert api("POST", path, raw=states.encode(SPEECH)).status_code == 201
    return path


def test_a_word_edited_in_it_costs_less_than_a_kilobyte(api: Api, path: str) -> None:
    for place in (0, 1_500, len(SPEECH.segments) - 1):
        segment = SPEECH.segments[place]
        one = f"{path}segments/{segment.id}/"
        text = segment.text.replace(segment.words[1].text, "otherwise", 1)
        response = api("PATCH", one, {"edited_text": text}, if_match=api.etag(one))
        assert response.status_code == 200, response.content
        assert len(response.content) < 10_000, "the answer holds that segment only"
    revisions = Revision.objects.filter(kind="transcription", version__gt=1)
    assert revisions.count() == 3
    assert max(sorted(document_sizes("revisions"))[:-1]) < 1_000
    assert history.verify(Transcription.objects.get()) == 4


def test_a_window_of_it_holds_only_the_window(api: Api, path: str) -> None:
    whole = len(api("GET", path).content)
    window = api("GET", f"{path}?start=3600&end=3660")
    said = [s.id for s in SPEECH.segments if s.end_time > 3600 and s.start_time < 3660]
    assert [segment["id"] for segment in window.json()["segments"]] == said
    assert len(said) > 5
    assert len(window.content) < whole / 100
