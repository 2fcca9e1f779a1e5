"""What is sent comes out equal, whatever it is."""

import json

import bson
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snipix import free_values, states
from snipix.refusals import InvalidState
from tests.timelines.states.given import FIRST, a_state, assert_holds, changed, parsed, unhurried
from tests.timelines.states.strategies import free, wire_states
from timelines import state as timelines
from timelines.state import TimelineState


@unhurried
@given(wire_states)
def test_what_was_encoded_is_read_back_the_same(wire):
    state = parsed(wire)
    assert timelines.parse(states.encode(state)) == state
    assert states.encode(timelines.parse(states.encode(state))) == states.encode(state)


@unhurried
@given(wire_states)
def test_a_state_survives_mongodb_byte_for_byte(wire):
    state = parsed(wire)
    stored = bson.decode(bson.encode(states.to_builtins(state)))
    assert states.encode(states.from_builtins(stored, TimelineState)) == states.encode(state)


@unhurried
@given(wire_states)
def test_every_value_that_was_sent_comes_out_equal(wire):
    assert_holds(json.loads(states.encode(parsed(wire))), wire)


@unhurried
@given(free, free)
def test_canonical_bytes_are_equal_exactly_when_the_values_are_equal_as_json(one, other):
    same = states.encode(holding(one)) == states.encode(holding(other))
    assert same == (comparable(one) == comparable(other))


@unhurried
@given(free)
def test_canonical_bytes_know_neither_the_order_of_keys_nor_how_a_number_is_written(value):
    assert states.encode(holding(rewritten(value))) == states.encode(holding(value))


def holding(value):
    return parsed({"metadata": {"value": value}})


def comparable(value):
    """Values that Python compares as JSON does: a boolean is no number."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return ("boolean", value) if isinstance(value, bool) else value


def rewritten(value):
    if isinstance(value, dict):
        return {key: rewritten(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [rewritten(item) for item in value]
    if type(value) is int and abs(value) < 2**53:
        return -0.0 if value == 0 else float(value)
    return value


def test_negative_zero_is_zero_in_every_field():
    minus = changed(
        (*FIRST, "start_time"), -0.0, {**a_state(), "zoom": -0.0, "metadata": {"z": -0.0}}
    )
    zero = changed((*FIRST, "start_time"), 0, {**a_state(), "zoom": 0, "metadata": {"z": 0}})
    assert states.encode(parsed(minus)) == states.encode(parsed(zero))


def test_free_values_that_are_normal_already_arent_copied():
    value = {"a": [1, "b", {"c": None}], "d": 0.5}
    assert free_values.check_free(value, "metadata") is value
    assert free_values.check_free({"a": [1.0, 2**53]}, "") == {"a": [1, 2**53]}


def test_free_values_that_arent_json_are_refused_where_they_stand():
    with pytest.raises(InvalidState, match=r"metadata.ids\[0\] can't be written as JSON"):
        free_values.check_free({"ids": [bson.ObjectId()]}, "metadata")


def test_a_free_value_is_read_as_strictly_as_a_state():
    assert states.decode_free(b'{"n": [1.0, -0.0]}') == {"n": [1, 0]}
    with pytest.raises(InvalidState, match=r"\[0\].a is an integer over 64 bits"):
        states.decode_free(b'[{"a": 9223372036854775808}]')
    with pytest.raises(InvalidState, match=r"\[0\].a is NaN"):
        states.decode_free(b'[{"a": NaN}]')


def test_integers_that_mongodb_returns_as_its_own_type_are_plain_again():
    stored = {"metadata": {"n": bson.Int64(2**40)}, "duration": bson.Int64(5)}
    state = states.from_builtins(stored, TimelineState)
    assert type(state.metadata["n"]) is int
    assert state.duration == 5.0


def test_a_stored_document_that_isnt_a_state_is_refused_with_the_path():
    with pytest.raises(InvalidState, match=r"layers\[0\].id must be a string"):
        states.from_builtins({"layers": [{"id": 5, "type": "text"}]}, TimelineState)


# --- Whatever is sent

anything = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@unhurried
@given(st.binary() | st.text().map(str.encode) | anything.map(lambda v: json.dumps(v).encode()))
def test_no_bytes_raise_anything_but_invalid_state(raw):
    read_or_refuse(raw)


@unhurried
@given(st.data())
def test_no_value_anywhere_in_a_state_raises_anything_but_invalid_state(data):
    state = changed(data.draw(st.sampled_from(list(paths(a_state())))), data.draw(anything))
    state |= data.draw(st.dictionaries(st.text(max_size=5), anything, max_size=1))
    read_or_refuse(json.dumps(state).encode())


@unhurried
@given(st.data())
def test_no_damage_to_the_bytes_raises_anything_but_invalid_state(data):
    raw = json.dumps(a_state()).encode()
    at = data.draw(st.integers(0, len(raw)))
    upto = data.draw(st.integers(at, min(len(raw), at + 20)))
    read_or_refuse(raw[:at] + data.draw(st.binary(max_size=6)) + raw[upto:])


def paths(node, path=()):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def read_or_refuse(raw):
    try:
        state, _, _ = timelines.parse_save(raw)
    except InvalidState as refused:
        assert msgspec.json.encode(refused.errors) != b"[]"  # noqa: PT017
    else:
        assert timelines.parse(states.encode(state)) == state
        assert isinstance(timelines.warnings(state), list)
