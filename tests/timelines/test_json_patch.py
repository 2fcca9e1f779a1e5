import copy
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonpatch import apply_patch
from msgspec.structs import replace

from snipix import states
from snipix.refusals import InvalidState
from timelines import json_patch, samples
from timelines.state import TimelineState

CASES = Path(__file__).parents[3] / "shared" / "data" / "json-patch-tests"

needs_cases = pytest.mark.skipif(
    not CASES.is_dir(), reason="the shared test data lie beside the repository, not in it"
)
# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def conformance_cases():
    files = sorted(CASES.glob("*.json"))
    cases = [case for path in files for case in json.loads(path.read_bytes())]
    return [case for case in cases if "patch" in case and not case.get("disabled")]


def applied(document, *patch):
    return json_patch.apply(copy.deepcopy(document), json_patch.parse(json.dumps(patch).encode()))


def refused(document, *patch):
    with pytest.raises(InvalidState) as caught:
        applied(document, *patch)
    return [problem.path for problem in caught.value.errors]


def as_json(value):
    return json.dumps(value, sort_keys=True)


# --- Applying


@needs_cases
@pytest.mark.parametrize("case", conformance_cases(), ids=lambda case: case.get("comment"))
def test_the_public_conformance_cases_pass(case):
    if "error" in case:
        with pytest.raises(InvalidState):
            json_patch.apply(case["doc"], case["patch"])
    else:
        result = json_patch.apply(case["doc"], case["patch"])
        assert as_json(result) == as_json(case.get("expected", result))


@needs_cases
def test_there_are_as_many_conformance_cases_as_there_were():
    assert len(conformance_cases()) >= 108


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"op": "test", "path": "/one", "value": True}, "[0].path"),
        ({"op": "test", "path": "/list", "value": [True, 2]}, "[0].path"),
        ({"op": "test", "path": "/gone", "value": 1}, "[0].path"),
        ({"op": "remove", "path": "/list/01"}, "[0].path"),
        ({"op": "remove", "path": "/list/-"}, "[0].path"),
        ({"op": "remove", "path": "/list/-1"}, "[0].path"),
        ({"op": "remove", "path": "/list/\u0660"}, "[0].path"),
        ({"op": "replace", "path": "/list/-", "value": 1}, "[0].path"),
        ({"op": "replace", "path": "/gone", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/text/0", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/one/0", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/gone/0", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/list/4", "value": 1}, "[0].path"),
        ({"op": "add", "path": "gone", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/~2", "value": 1}, "[0].path"),
        ({"op": "add", "path": 5, "value": 1}, "[0].path"),
        ({"op": "add", "value": 1}, "[0].path"),
        ({"op": "add", "path": "/a"}, "[0].value"),
        ({"op": "move", "path": "/a"}, "[0].from"),
        ({"op": "move", "path": "/a", "from": "/gone"}, "[0].from"),
        ({"op": "move", "path": "/deep/in", "from": "/deep"}, "[0].path"),
        ({"op": "copy", "path": "/a", "from": "/list/2"}, "[0].from"),
        ({"op": "spam", "path": "/a"}, "[0].op"),
        ({"op": ["add"], "path": "/a"}, "[0].op"),
        ({"path": "/a"}, "[0].op"),
        ("add", "[0]"),
    ],
)
def test_a_refusal_names_the_place_in_the_patch(patch, path):
    document = {"one": 1, "list": [1, 2], "text": "xyz", "deep": {}}
    assert refused(document, patch) == [path]


def test_all_that_is_wrong_with_the_operations_is_told_at_once():
    wrong = {"op": "add", "path": "x"}
    assert refused({}, wrong, {"op": "x"}) == ["[0].path", "[0].value", "[1].op"]


@pytest.mark.parametrize("raw", [b"{}", b'"add"', b"null"])
def test_what_is_no_array_is_no_patch(raw):
    with pytest.raises(InvalidState, match="must be an array"):
        json_patch.parse(raw)


@pytest.mark.parametrize("raw", [b"[", b"[NaN]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw):
    with pytest.raises(InvalidState):
        json_patch.parse(raw)


def test_1_and_1_point_0_are_the_same_number():
    assert applied({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}) == {"a": 1}


def test_what_is_copied_has_no_part_in_later_changes():
    copied = {"op": "copy", "from": "/a", "path": "/b"}
    result = applied({"a": [1]}, copied, {"op": "add", "path": "/b/-", "value": 2})
    assert result == {"a": [1], "b": [1, 2]}


def test_the_whole_document_can_be_replaced():
    assert applied({"a": 1}, {"op": "replace", "path": "", "value": [1]}) == [1]


def test_copies_of_copies_are_refused_before_they_fill_the_memory():
    doubled = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(60)]
    [path] = refused({"a": list(range(1_000))}, *doubled)
    assert path == "[9]"


@pytest.mark.parametrize("large", ["x" * 2**22, {"x" * 2**22: 1}])
def test_copies_of_a_long_text_are_refused_before_they_fill_the_memory(large):
    copies = [{"op": "copy", "from": "/a", "path": f"/{number}"} for number in range(1_000)]
    [path] = refused({"a": large}, *copies)
    assert path == "[3]"


def test_a_document_that_gets_too_deep_is_refused():
    nested = {"op": "copy", "from": "/a", "path": "/a/a"}
    deeper = [{**nested, "path": "/a" * (2**number + 1)} for number in range(9)]
    with pytest.raises(InvalidState, match="too deep"):
        applied({"a": {}}, *deeper, *[{**nested, "path": "/a" * 513}] * 9)


def test_more_operations_than_there_may_be_are_refused():
    operation = {"op": "test", "path": "", "value": {}}
    assert refused({}, *[operation] * (json_patch.MAX_OPERATIONS + 1)) == [""]


# --- Making

leaves = st.sampled_from([None, True, False, 0, 1, 1.5, "", "x"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "id", "/", "~1", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)
elements = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abcdefgh"), "a": values}),
    unique_by=lambda element: element["id"],
)


@given(st.one_of(st.tuples(elements, elements), st.tuples(values, values)))
@unhurried
def test_a_patch_turns_the_one_into_the_other_exactly(pair):
    before, after = pair
    patch = json_patch.between(before, after)
    assert as_json(apply_patch(before, patch)) == as_json(after)
    assert as_json(json_patch.apply(copy.deepcopy(before), patch)) == as_json(after)
    assert bool(patch) == (as_json(before) != as_json(after))


@given(st.permutations("abcdefgh"))
def test_as_few_elements_as_possible_are_moved(order):
    before, after = ([{"id": id} for id in ids] for ids in ("abcdefgh", order))
    patch = json_patch.between(before, after)
    longest = 1
    ends = []
    for at, id in enumerate(order):
        ends.append(1 + max((ends[k] for k in range(at) if order[k] < id), default=0))
        longest = max(longest, ends[-1])
    assert [operation["op"] for operation in patch] == ["move"] * (8 - longest)


def built(state):
    return states.to_builtins(state)


def test_an_edit_of_one_clip_is_a_patch_of_a_few_values():
    before = samples.timeline(1, 2_000)
    after = samples.move_clip(before, Random(1))
    patch = json_patch.between(built(before), built(after))
    assert [operation["op"] for operation in patch] == ["replace", "replace"]
    assert {operation["path"].rpartition("/")[2] for operation in patch} == {
        "start_time",
        "end_time",
    }


def test_clips_in_a_quite_different_order_are_patched_exactly():
    before = samples.timeline(1, 2_000)
    random = Random(1)
    layers = [
        replace(layer, clips=random.sample(layer.clips, len(layer.clips)))
        for layer in before.layers
    ]
    after = replace(before, layers=layers)
    patch = json_patch.between(built(before), built(after))
    assert {operation["op"] for operation in patch} == {"move"}
    assert states.from_builtins(json_patch.apply(built(before), patch), TimelineState) == after


def test_a_very_long_list_in_a_quite_different_order_is_sent_whole(monkeypatch):
    monkeypatch.setattr(json_patch, "_MAX_STEPS", 10)
    before, after = ([{"id": id} for id in ids] for ids in ("abcdef", "fedcba"))
    assert json_patch.between(before, after) == [{"op": "replace", "path": "", "value": after}]


def test_a_patch_of_too_many_operations_is_one_that_replaces_all(monkeypatch):
    monkeypatch.setattr(json_patch, "MAX_OPERATIONS", 2)
    before, after = (dict.fromkeys("abc", value) for value in (1, 2))
    assert json_patch.between(before, after) == [{"op": "replace", "path": "", "value": after}]
