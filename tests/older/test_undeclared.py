"""Whatever the older client sends comes back to it: for made-up states, through code and HTTP."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snipix import states
from snipix.free_values import check_free
from snipix.older import undeclared
from snipix.older.undeclared import CHILDREN, OTHER_SPELLINGS
from snipix.states import Struct
from tests.older.client import Older
from tests.timelines.states.strategies import free, keys, wire_states
from tests.transcriptions.test_state import wire_states as transcription_states
from timelines import state as timelines
from timelines.state import TimelineState
from transcriptions import state as transcriptions
from transcriptions.state import TranscriptionState

unhurried = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
extras = st.dictionaries(
    keys | st.sampled_from(["older_client", "colour", "_id", "keys", "version"]), free, max_size=2
)


@st.composite
def sent(draw: Any, wire: Any, type_: type[Struct]) -> Any:
    """A state with undeclared keys anywhere, and our own key among its metadata."""
    return _with_extras(draw, draw(wire), type_)


def _with_extras(draw: Any, element: Any, type_: type[Struct]) -> Any:
    known = {*type_.__struct_fields__, *OTHER_SPELLINGS.get(type_, ())}
    more = {name: value for name, value in draw(extras).items() if name not in known}
    if draw(st.booleans()):
        more["metadata"] = {**element.get("metadata", {}), "older_client": draw(free)}
    for name, child in CHILDREN.get(type_, {}).items():
        if name in element:
            more[name] = [_with_extras(draw, each, child) for each in element[name]]
    return {**element, **more}


def holds(shown: Any, wanted: Any, type_: type[Struct] | None) -> bool:
    """Whether an element is what was sent; only known fields may be there beside it."""
    if type_ is None:
        one, other = (states.encode([check_free(each, "")]) for each in (shown, wanted))
        return one == other
    children = CHILDREN.get(type_, {})
    beside = {*type_.__struct_fields__, *OTHER_SPELLINGS.get(type_, ())}
    assert set(shown) <= {*wanted, *beside}
    for name, value in wanted.items():
        if name in children:
            assert len(shown[name]) == len(value)
            assert all(holds(*two, children[name]) for two in zip(shown[name], value, strict=True))
        elif name != "id" or value:  # words get ids
            assert holds(shown[name], value, None), name
    return True


def read(wire: Any) -> TimelineState:
    whole = undeclared.taken_in(json.loads(json.dumps(wire)), TimelineState)
    return timelines.check(states.from_builtins(whole, TimelineState))


@unhurried
@given(sent(wire_states, TimelineState))
def test_a_timeline_is_shown_as_it_was_sent(wire: Any) -> None:
    shown = undeclared.put_back(read(wire))
    assert holds(shown, wire, TimelineState)
    assert read(shown) == read(wire), "what is shown may be sent again"


@settings(unhurried, max_examples=50)
@given(sent(transcription_states(), TranscriptionState))
def test_a_transcription_is_shown_as_it_was_sent(wire: Any) -> None:
    whole = undeclared.taken_in(json.loads(json.dumps(wire)), TranscriptionState)
    state = transcriptions.check(states.from_builtins(whole, TranscriptionState))
    assert holds(undeclared.put_back(state), wire, TranscriptionState)


@unhurried
@given(sent(wire_states, TimelineState), sent(wire_states, TimelineState))
def test_what_was_sent_wins_over_what_was_there(wire: Any, before: Any) -> None:
    carried = undeclared.carried_over(wire, read(before))
    state = read(carried)
    assert holds(undeclared.put_back(state), wire, TimelineState)
    if "fps_num" not in wire:
        assert state.fps_num == before.get("fps_num", 30)


@settings(unhurried, max_examples=20)
@given(wire=sent(wire_states, TimelineState))
def test_a_timeline_is_read_as_it_was_saved(older: Older, wire: Any) -> None:
    film = older.project()
    older.save(film, wire)
    shown = older.data("GET", f"/timeline/{film}")["timeline_state"]
    assert holds(shown, wire, TimelineState)
    assert older.save(film, shown)["version"] == 1, "what is read is saved as the same"
