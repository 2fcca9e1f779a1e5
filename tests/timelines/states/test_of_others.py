"""Data that others wrote."""

import json

import pytest

from snipix import states
from tests.conftest import SHARED_DATA
from tests.timelines.states.given import assert_holds, parsed
from timelines import state as timelines

needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="the shared test data lie beside the repository, not in it"
)


def real_timelines():
    return sorted((SHARED_DATA / "timelines").glob("*.json"))


@needs_shared_data
@pytest.mark.parametrize("path", real_timelines(), ids=lambda path: path.stem)
def test_real_edits_come_out_equal_on_all_keys_that_were_sent(path):
    sent = json.loads(path.read_bytes())
    state = timelines.parse(path.read_bytes())
    assert timelines.warnings(state) == []
    assert_holds(json.loads(states.encode(state)), sent)


@needs_shared_data
def test_saves_of_the_existing_client_come_out_equal_on_all_keys_that_were_sent():
    for save in json.loads((SHARED_DATA / "client_saves.json").read_bytes())["saves"]:
        sent = save["body"]["timeline_state"]
        assert_holds(json.loads(states.encode(parsed(sent))), sent)


@needs_shared_data
def test_the_existing_clients_split_makes_one_warning():
    *_, split = json.loads((SHARED_DATA / "client_saves.json").read_bytes())["saves"]
    (warning,) = timelines.warnings(parsed(split["body"]["timeline_state"]))
    assert (warning.path, warning.code) == ("layers[0].clips[0].end_time", "end-mismatch")
