"""States that are refused, and why."""

import json

import pytest

from snipix import refusals
from snipix.refusals import InvalidState
from tests.timelines.states.given import FIRST, SECOND, a_clip, changed, parsed, problems
from timelines import state as timelines
from timelines.state import Clip, Layer, TimelineState

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
