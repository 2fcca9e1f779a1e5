import copy
import json
from pathlib import Path

import bson
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snipix import free_values, openapi, refusals, states
from snipix.refusals import InvalidState
from timelines import state as timelines
from timelines.state import Clip, Layer, TimelineState

SHARED = Path(__file__).parents[3] / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared test data lie beside the repository, not in it"
)

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIRST = ("layers", 0, "clips", 0)
SECOND = ("layers", 0, "clips", 1)


def a_state():
    return {
        "layers": [
            {"id": "picture", "type": "video", "clips": [a_clip("one", 0), a_clip("two", 2)]},
            {"id": "sound", "type": "audio"},
        ],
        "markers": [{"id": "intro", "time": 0.5}, {"id": "end", "time": 4}],
    }


def a_clip(id_, start):
    keyframe = {"id": "k", "time": 1, "property": "opacity", "value": 0.5}
    times = {"start_time": start, "duration": 2}
    return {"id": id_, "type": "video", **times, "keyframes": [keyframe]}


def changed(path, value, state=None):
    """Return a valid state in which one value is another."""
    root = node = copy.deepcopy(state or a_state())
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return root


def parsed(state):
    return timelines.parse(json.dumps(state).encode())


def problems(raw):
    with pytest.raises(InvalidState) as caught:
        timelines.parse_save(raw)
    return caught.value.errors


# --- What is refused

REFUSED = [
    # Times
    ((*SECOND, "start_time"), -1, "layers[0].clips[1].start_time", "is -1: a time can't be neg"),
    ((*SECOND, "end_time"), -0.1, "layers[0].clips[1].end_time", "is -0.1: a time can't be neg"),
    ((*FIRST, "original_start_time"), -3, "layers[0].clips[0].original_start_time", "negative"),
    ((*FIRST, "keyframes", 0, "time"), -1, "layers[0].clips[0].keyframes[0].time", "negative"),
    (("markers", 1, "time"), -1, "markers[1].time", "negative"),
    (("playhead_time",), -1, "playhead_time", "negative"),
    (("duration",), -1, "duration", "negative"),
    (("zoom",), -1, "zoom", "a magnification can't be negative"),
    (("zoom",), 1e7, "zoom", "at most 1,000,000"),
    ((*FIRST, "start_time"), 1e11, "layers[0].clips[0].start_time", "at most 10,000,000,000"),
    ((*FIRST, "start_time"), 10**300, "layers[0].clips[0].start_time", "at most 10,000,000,000"),
    ((*FIRST, "start_time"), 2**63, "layers[0].clips[0].start_time", "at most 10,000,000,000"),
    ((*FIRST, "start_time"), 10**400, "layers[0].clips[0].start_time", "too large a number"),
    ((*FIRST, "duration"), 0, "layers[0].clips[0].duration", "is 0: a clip lasts longer than 0 s"),
    ((*FIRST, "duration"), -0.0, "layers[0].clips[0].duration", "is 0: a clip lasts longer"),
    ((*FIRST, "duration"), -2, "layers[0].clips[0].duration", "is -2: a clip lasts longer"),
    ((*FIRST, "duration"), 1e300, "layers[0].clips[0].duration", "at most 10,000,000,000"),
    # Numbers that aren't JSON
    ((*FIRST, "start_time"), float("nan"), "layers[0].clips[0].start_time", "is NaN"),
    ((*FIRST, "duration"), float("inf"), "layers[0].clips[0].duration", "is infinite"),
    ((*FIRST, "properties"), {"a": [-float("inf")]}, "layers[0].clips[0].properties.a[0]", "inf"),
    (("version",), float("nan"), "version", "is NaN"),
    # Types
    ((*FIRST, "start_time"), None, "layers[0].clips[0].start_time", "must be a number, not null"),
    ((*FIRST, "end_time"), None, "layers[0].clips[0].end_time", "must be a number, not null"),
    ((*FIRST, "start_time"), True, "layers[0].clips[0].start_time", "a number, not a boolean"),
    ((*FIRST, "start_time"), "1", "layers[0].clips[0].start_time", "a number, not a string"),
    ((*FIRST, "start_time"), [], "layers[0].clips[0].start_time", "a number, not an array"),
    ((*FIRST, "keyframes"), {}, "layers[0].clips[0].keyframes", "an array, not an object"),
    ((*FIRST, "properties"), [], "layers[0].clips[0].properties", "an object, not an array"),
    ((*FIRST, "keyframes", 0, "easing"), 3, "layers[0].clips[0].keyframes[0].easing", "or null"),
    ((*FIRST, "type"), "movie", "layers[0].clips[0].type", 'must be one of "audio", "effect",'),
    ((*FIRST, "type"), "x - at `$.y`", "layers[0].clips[0].type", "must be one of"),
    (("layers", 1, "type"), 5, "layers[1].type", "must be a string, not a number"),
    (("layers", 1, "is_locked"), 1, "layers[1].is_locked", "must be true or false, not a number"),
    (("layers", 1, "order"), 1.5, "layers[1].order", "a whole number, not a fraction"),
    (("layers", 1, "order"), 2**63, "layers[1].order", "must be at most 2,147,483,647"),
    (("layers", 1, "order"), 10**400, "layers[1].order", "must be at most 2,147,483,647"),
    (("layers", 1), None, "layers[1]", "must be an object, not null"),
    (("selected_clips",), [7], "selected_clips[0]", "must be a string, not a number"),
    (("fps_num",), 0, "fps_num", "must be at least 1"),
    (("fps_den",), 2**31, "fps_den", "must be at most 2,147,483,647"),
    (("description",), None, "description", "must be a string, not null"),
    # Keys
    ((*FIRST, "colour"), 1, "layers[0].clips[0].colour", "isn't a known field"),
    ((*FIRST, "k" * 10**6), 1, f'layers[0].clips[0]["{"k" * 99}…"]', "isn't a known field"),
    (("a - at `$.b`",), 1, '["a - at `$.b`"]', "isn't a known field"),
    (("layers", 1), {"id": "sound"}, "layers[1].type", "is missing"),
    ((*FIRST, "keyframes", 0), {"id": "k", "time": 0}, "layers[0].clips[0].keyframes[0].property",
     "is missing"),
    (("markers", 0), {"time": 0}, "markers[0].id", "is missing"),
    # Ids and texts
    ((*FIRST, "id"), "", "layers[0].clips[0].id", "must not be empty"),
    ((*FIRST, "id"), "i" * 201, "layers[0].clips[0].id", "at most 200 characters"),
    ((*SECOND, "id"), "one", "layers[0].clips[1].id", "is also the id of layers[0].clips[0]"),
    (("layers", 1, "clips"), [a_clip("two", 0)], "layers[1].clips[0].id", "of layers[0].clips[1]"),
    (("layers", 1, "id"), "picture", "layers[1].id", "is also the id of layers[0]"),
    (("markers", 1, "id"), "intro", "markers[1].id", "is also the id of markers[0]"),
    ((*FIRST, "keyframes"), a_clip("", 0)["keyframes"] * 2, "layers[0].clips[0].keyframes[1].id",
     "is also the id of layers[0].clips[0].keyframes[0]"),
    (("layers", 0, "name"), "n" * 10**6, "layers[0].name", "at most 1,000 characters"),
    ((*FIRST, "content"), "c" * 100_001, "layers[0].clips[0].content", "at most 100,000"),
    ((*FIRST, "source_path"), "s" * 4_097, "layers[0].clips[0].source_path", "at most 4,096"),
    (("description",), "d" * 501, "description", "at most 500 characters"),
    (("change_summary",), "d" * 2_001, "change_summary", "at most 2,000 characters"),
    # Free-form values
    ((*FIRST, "properties"), {"a": [1, {"b": 2**63}]}, "layers[0].clips[0].properties.a[1].b",
     "is an integer over 64 bits"),
    ((*FIRST, "properties"), {"n": -(2**63) - 1}, "layers[0].clips[0].properties.n", "64 bits"),
    ((*FIRST, "properties"), {"n": 10**4000}, "layers[0].clips[0].properties.n", "64 bits"),
    ((*FIRST, "properties"), {"$set": 1}, 'layers[0].clips[0].properties["$set"]', "with `$`"),
    ((*FIRST, "properties"), {"a b": {"x\0": 1}},
     'layers[0].clips[0].properties["a b"]["x\\u0000"]', "NUL"),
    ((*FIRST, "properties"), {"s": "\ud800"}, "layers[0].clips[0].properties.s", "surrogate pair"),
    ((*FIRST, "properties"), {"\udfff": 1}, "layers[0].clips[0].properties", "surrogate pair"),
    ((*FIRST, "content"), "cut: \ud83d", "layers[0].clips[0].content", "surrogate pair"),
    ((*FIRST, "keyframes", 0, "value"), 2**64, "layers[0].clips[0].keyframes[0].value", "64 bits"),
    ((*FIRST, "keyframes", 0, "metadata"), {"k" * 256: 1},
     f'layers[0].clips[0].keyframes[0].metadata["{"k" * 99}…"]', "is too long a key"),
    (("markers", 0, "metadata"), {"n": 2**63}, "markers[0].metadata.n", "64 bits"),
    (("layers", 1, "metadata"), {"n": [[2**63]]}, "layers[1].metadata.n[0][0]", "64 bits"),
    (("metadata",), {"n": 2**63}, "metadata.n", "64 bits"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "why"), REFUSED)
def test_a_refusal_names_the_path_the_reason_and_what_to_do(path, value, where, why):
    (problem,) = problems(json.dumps(changed(path, value)).encode())
    assert problem.path == where
    assert why in problem.reason
    assert problem.hint


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "isn't valid JSON: it is truncated"),
        (b'{"layers": [', "isn't valid JSON: it is truncated"),
        (b'{"zoom": 1,}', "isn't valid JSON: trailing comma"),
        (b'{"zoom": .5}', "isn't valid JSON: invalid character (byte 9)"),
        (b"{'zoom': 1}", "isn't valid JSON"),
        (b'{"zoom": 1} {}', "isn't valid JSON: trailing characters"),
        (b"\xef\xbb\xbf{}", "isn't valid JSON"),
        ("{}".encode("utf-16"), "isn't valid JSON"),
        (b"[]", "must be an object, not an array"),
        (b"null", "must be an object, not null"),
        (b'{"metadata": {"a": "\xff"}}', "isn't valid UTF-8"),
        (b'{"metadata": {"\xc0\x80": 1}}', "isn't valid UTF-8"),
        (b'{"metadata": {"a": "\xed\xa0\x80"}}', "isn't valid UTF-8"),
        (b'{"metadata": {"a": %s}}' % (b"[" * 5000 + b"]" * 5000), "is nested too deeply"),
        (b'{"metadata": {"a": %s' % (b'{"a": ' * 100_000), "is nested too deeply"),
        (b'{"version": %s}' % (b"[" * 5000 + b"]" * 5000), "is nested too deeply"),
    ],
)
def test_a_body_that_cant_be_read_is_refused_as_a_whole(raw, why):
    (problem,) = problems(raw)
    assert problem.path == ""
    assert problem.reason.startswith(why)


def test_exponents_beyond_a_float_are_refused_where_they_stand():
    (problem,) = problems(b'{"metadata": {"ok": 1, "list": [0, -1e999]}}')
    assert problem.path == "metadata.list[1]"


@pytest.mark.parametrize("where", ["fps_num", "zoom", "metadata.a"])
def test_an_integer_of_five_thousand_digits_is_refused_where_it_stands(where):
    raw = b'{"fps_num": 1, "zoom": 1, "metadata": {"a": 1}}'
    name = where.rpartition(".")[2].encode()
    (problem,) = problems(raw.replace(b'"%s": 1' % name, b'"%s": %s' % (name, b"1" * 5000)))
    assert problem.path == where
    assert problem.reason == "is infinite, or too large a number"


def test_free_values_may_be_nested_32_levels_and_no_more():
    assert parsed({"metadata": nested(32)})
    (problem,) = problems(json.dumps({"metadata": nested(33)}).encode())
    assert problem.path == "metadata" + ".a" * 32
    assert problem.reason == "is nested too deeply"


def nested(levels):
    return {"a": nested(levels - 1)} if levels > 1 else {}


def test_an_unknown_key_is_refused_with_the_name_that_was_probably_meant():
    (problem,) = problems(json.dumps(changed((*FIRST, "startTime"), 1)).encode())
    assert problem.hint == "Did you mean `start_time`? Put what is your own into `metadata`."


def test_null_for_a_number_is_explained():
    (problem,) = problems(json.dumps(changed((*FIRST, "duration"), None)).encode())
    assert "JavaScript writes NaN and Infinity as null" in problem.hint


def test_all_that_is_wrong_is_reported_at_once_up_to_a_limit():
    state = changed((*FIRST, "duration"), 0, changed((*SECOND, "id"), "one"))
    assert [p.path for p in problems(json.dumps(state).encode())] == [
        "layers[0].clips[0].duration",
        "layers[0].clips[1].id",
    ]
    many = changed(("layers", 0, "clips"), [a_clip(f"c{i}", -1) for i in range(50)])
    assert len(problems(json.dumps(many).encode())) == refusals.MAX_PROBLEMS


@pytest.mark.parametrize(
    ("path", "element", "limit"),
    [
        (("layers",), {"type": "text"}, timelines.MAX_LAYERS),
        (("markers",), {"time": 0}, timelines.MAX_MARKERS),
        ((*FIRST, "keyframes"), {"time": 0, "property": "x"}, timelines.MAX_KEYFRAMES),
    ],
)
def test_too_many_elements_are_refused(path, element, limit):
    elements = [{"id": f"{i}", **element} for i in range(limit + 1)]
    assert parsed(changed(path, elements[:-1]))
    (problem,) = problems(json.dumps(changed(path, elements)).encode())
    assert problem.path == states_path(path)
    assert problem.reason == f"must have at most {limit:,} items"


def states_path(steps):
    path = ""
    for step in steps:
        path = refusals.join(path, step)
    return path


def test_too_many_clips_are_refused_however_they_are_spread_over_layers():
    half = timelines.MAX_CLIPS // 2
    clips = [Clip(id=f"{i}", type="text", start_time=i, duration=1.0) for i in range(half + 1)]
    layers = [Layer(id=f"{i}", type="text", clips=clips) for i in range(2)]
    with pytest.raises(InvalidState, match="layers hold 20,002 clips, more than 20,000"):
        timelines.check(TimelineState(layers=layers))


# --- What is kept, and reported


def test_a_sound_state_has_no_warnings():
    assert timelines.warnings(parsed(a_state())) == []


@pytest.mark.parametrize("end", [1, 5])
def test_an_end_that_isnt_start_plus_duration_is_kept_and_reported(end):
    state = parsed(changed((*FIRST, "end_time"), end))
    (warning,) = timelines.warnings(state)
    assert state.layers[0].clips[0].end_time == end
    assert (warning.path, warning.code) == ("layers[0].clips[0].end_time", "end-mismatch")
    assert warning.message == f"Ends at {end} s, but start and duration make 2 s."


def test_clips_that_overlap_are_reported_whatever_their_order_in_the_layer():
    starts = [9, 1.5, 0, 4, 6.5]
    clips = [a_clip(f"c{i}", start) for i, start in enumerate(starts)]
    clips[3]["duration"] = 4
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert [(w.path, w.code) for w in found] == [
        ("layers[0].clips[1]", "overlap"),
        ("layers[0].clips[4]", "overlap"),
    ]
    assert found[1].message == ("Starts at 6.5 s, before clips[3] of the same layer ends at 8 s.")


def test_a_clip_overlaps_a_long_one_also_after_a_short_one():
    clips = [{**a_clip("a", 0), "duration": 10}, a_clip("b", 1), a_clip("c", 5)]
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert [w.path for w in found] == ["layers[0].clips[1]", "layers[0].clips[2]"]
    assert "before clips[0] of the same layer ends at 10 s" in found[1].message


def test_clips_that_meet_within_a_microsecond_dont_overlap():
    clips = [a_clip("a", 0), a_clip("b", 1.9999995)]
    assert timelines.warnings(parsed(changed(("layers", 0, "clips"), clips))) == []


def test_clips_of_different_layers_may_play_at_once():
    assert timelines.warnings(parsed(changed(("layers", 1, "clips"), [a_clip("c", 0)]))) == []


def test_a_keyframe_after_its_clip_is_kept_and_reported():
    (warning,) = timelines.warnings(parsed(changed((*SECOND, "keyframes", 0, "time"), 3)))
    assert warning.path == "layers[0].clips[1].keyframes[0].time"
    assert warning.code == "keyframe-outside"


def test_very_many_warnings_are_cut_and_counted():
    clips = [a_clip(f"c{i}", 1) for i in range(502)]
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert len(found) == states.MAX_WARNINGS + 1
    assert found[-1].message == "There are 501 warnings; these are the first 100."


def test_a_selection_of_clips_that_dont_exist_is_kept_silently():
    state = parsed({"selected_clips": ["gone"]})
    assert state.selected_clips == ["gone"]
    assert timelines.warnings(state) == []


# --- Defaults, summaries, saves


def test_what_isnt_sent_gets_the_older_clients_defaults():
    state = parsed(a_state())
    clip = state.layers[0].clips[1]
    assert (clip.end_time, clip.original_start_time) == (4.0, 2.0)
    assert (clip.source_path, clip.content, clip.properties, clip.metadata) == ("", "", {}, {})
    assert (state.zoom, state.is_snapping, state.is_playing) == (1.0, True, False)
    assert (state.fps_num, state.fps_den) == (30, 1)
    assert (state.layers[1].is_visible, state.layers[1].order) == (True, 0)


def test_an_empty_body_is_the_empty_state():
    assert timelines.parse(b"{}") == timelines.EMPTY
    assert timelines.summarise(timelines.EMPTY) == {
        "duration": 0.0,
        "layers": 0,
        "clips": 0,
        "markers": 0,
    }


def test_a_summary_counts():
    summary = timelines.summarise(parsed({**a_state(), "duration": 4}))
    assert summary == {"duration": 4.0, "layers": 2, "clips": 2, "markers": 2}


def test_a_save_is_parted_into_the_state_and_what_is_said_about_it():
    siblings = {"description": "Cut", "change_summary": "Shorter", "version": 7}
    save = {**a_state(), **siblings, "updated_at": {"any": ["json", 2**70, {"$x": None}]}}
    state, description, summary = timelines.parse_save(json.dumps(save).encode())
    assert (description, summary) == ("Cut", "Shorter")
    assert type(state) is TimelineState
    assert states.encode(state) == states.encode(parsed(a_state()))


def test_a_bare_state_doesnt_take_the_siblings_of_a_save():
    with pytest.raises(InvalidState, match="description isn't a known field"):
        timelines.parse(b'{"description": "Cut"}')


def test_a_state_isnt_changed_in_place():
    with pytest.raises(AttributeError):
        timelines.EMPTY.zoom = 2.0


# --- Equality and round trips

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = texts.filter(lambda key: not key.startswith("$") and "\0" not in key)
scalars = (
    st.none() | st.booleans() | texts | st.integers(free_values.MIN_INT, free_values.MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip


def objects(values):
    return st.dictionaries(keys, values, max_size=3)


free = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=6
)
seconds = st.floats(0, 1e9) | st.integers(0, 10**9)
lengths = st.floats(1e-3, 1e6) | st.integers(1, 10**6)
kinds = st.sampled_from(["video", "audio", "text", "effect", "overlay"])


def elements(required, **optional):
    """Lists of objects with the ids 0, 1, 2 …"""
    metadata = {"metadata": objects(free)}
    element = st.fixed_dictionaries(required, optional={**optional, **metadata})
    lists = st.lists(element, max_size=3)
    return lists.map(lambda items: [{"id": str(i), **item} for i, item in enumerate(items)])


keyframes = elements({"time": seconds, "property": texts}, value=free, easing=texts)
clips = elements(
    {"type": kinds, "start_time": seconds, "duration": lengths},
    end_time=seconds, original_start_time=seconds, content=texts, source_path=texts,
    properties=objects(free), keyframes=keyframes,
)  # fmt: skip
wire_states = st.fixed_dictionaries(
    {},
    optional={
        "layers": st.lists(clips, max_size=2).map(lambda lists: list(layered(lists))),
        "markers": elements({"time": seconds}, label=texts, color=texts),
        "zoom": st.floats(0, 10),
        "duration": seconds,
        "selected_clips": st.lists(st.text("abc", min_size=1), max_size=2),
        "metadata": objects(free),
        "fps_num": st.integers(1, 120_000),
    },
)


def layered(lists):
    for index, layer in enumerate(lists):
        named = [{**clip, "id": f"{index}-{clip['id']}"} for clip in layer]
        yield {"id": str(index), "type": "video", "clips": named}


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


def assert_holds(answer, sent):
    """Check that all that was sent is in the answer, and equal."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            assert_holds(answer[key], value)
    elif isinstance(sent, list):
        assert len(answer) == len(sent)
        for item, value in zip(answer, sent, strict=True):
            assert_holds(item, value)
    else:
        assert answer == sent
        assert isinstance(answer, bool) == isinstance(sent, bool)


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


# --- Data that others wrote


def real_timelines():
    return sorted((SHARED / "timelines").glob("*.json"))


@needs_shared_data
@pytest.mark.parametrize("path", real_timelines(), ids=lambda path: path.stem)
def test_real_edits_come_out_equal_on_all_keys_that_were_sent(path):
    sent = json.loads(path.read_bytes())
    state = timelines.parse(path.read_bytes())
    assert timelines.warnings(state) == []
    assert_holds(json.loads(states.encode(state)), sent)


@needs_shared_data
def test_saves_of_the_existing_client_come_out_equal_on_all_keys_that_were_sent():
    for save in json.loads((SHARED / "client_saves.json").read_bytes())["saves"]:
        sent = save["body"]["timeline_state"]
        assert_holds(json.loads(states.encode(parsed(sent))), sent)


@needs_shared_data
def test_the_existing_clients_split_makes_one_warning():
    *_, split = json.loads((SHARED / "client_saves.json").read_bytes())["saves"]
    (warning,) = timelines.warnings(parsed(split["body"]["timeline_state"]))
    assert (warning.path, warning.code) == ("layers[0].clips[0].end_time", "end-mismatch")


# --- The schema


def test_the_schema_is_fit_for_openapi():
    schema, components = openapi.struct(timelines.Save), openapi.components
    assert schema == {"$ref": "#/components/schemas/Save"}
    assert set(components) >= {"Save", "Layer", "Clip", "Keyframe", "Marker"}
    assert all(components[name]["description"] for name in ("Save", "Layer", "Clip", "Marker"))
    assert components["Clip"]["required"] == ["id", "type", "start_time", "duration"]
    assert components["Clip"]["properties"]["start_time"]["minimum"] == 0
    assert components["Clip"]["additionalProperties"] is False


def test_a_field_of_a_kind_that_nobody_normalises_is_a_mistake_of_ours():
    class Odd(states.Struct, frozen=True, kw_only=True):
        numbers: list[float] = []

    with pytest.raises(TypeError, match="can't have a field of this type yet"):
        states.decode(b"{}", Odd)
