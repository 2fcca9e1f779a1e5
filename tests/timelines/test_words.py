import json
from random import Random
from time import thread_time

import pytest
from hypothesis import given

from snipix import states
from tests.timelines.merging.given import a_clip, a_state, edited, times, unhurried, with_clip
from tests.timelines.merging.strategies import threes
from timelines import overlaps, samples
from timelines.state import TimelineState
from timelines.words import MAX_LINES, words


def told(edit, **fields):
    base = a_state(**fields)
    return words(base, edited(base, edit))


def change(id="one", /, **fields):
    return lambda wire, clips: clips[id].update(fields)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (change(**times(12, 16)), "clip one: start 10.0 → 12.0 s"),
        (change(**times(10, 12.5)), "clip one: duration 4.0 → 2.5 s"),
        (change(**times(11, 14)), "clip one: start 10.0 → 11.0 s, duration 4.0 → 3.0 s"),
        (change(end_time=15), "clip one: end 14.0 → 15.0 s"),
        (change(duration=3), "clip one: duration 4.0 → 3.0 s"),
        (change(original_start_time=0), "clip one: source start 100.0 → 0.0 s"),
        (change(**times(10.00001, 14.00001)), "clip one: start 10.0 → 10.00001 s"),
        (change(content="Hi\n there"), "clip one: content nothing → Hi there"),
        (change(properties={"volume": 0.5, "speed": 1}), "clip one: volume 1 → 0.5"),
        (change(properties={"volume": True, "speed": 1}), "clip one: volume 1 → true"),
        (change(properties={"speed": 1}), "clip one: volume removed, was 1"),
        (change("two", properties={"crop": {"top": 1}}), 'clip two: crop set to {"top":1}'),
        (change(keyframes=[]), "clip one: removed keyframe opacity at 1.0 s"),
        (change("two", metadata={"a": 1}), "clip two: metadata a set to 1"),
    ],
)
def test_a_change_of_a_clip_is_told_in_words(edit, line):
    assert told(edit) == [line]


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        (lambda w, c: w["layers"].pop(0), ["removed layer v (3 clips)"]),
        (lambda w, c: w["layers"][0]["clips"].pop(0), ["removed clip one from layer v"]),
        (
            lambda w, c: w["layers"][1]["clips"].append(a_clip("new", 7, content="Hi")),
            ["added clip Hi to layer w at 7.0 s"],
        ),
        (
            lambda w, c: w["layers"].append(
                {"id": "t", "name": "Titles", "type": "text", "clips": [a_clip("new")]}
            ),
            ["added layer Titles (1 clip)"],
        ),
        (
            lambda w, c: w["layers"][1]["clips"].append(w["layers"][0]["clips"].pop()),
            ["moved clip three from layer v to w"],
        ),
        (lambda w, c: w["layers"].reverse(), ["timeline: layers in another order"]),
        (lambda w, c: w["layers"][0]["clips"].reverse(), ["layer v: clips in another order"]),
        (
            lambda w, c: w["layers"][0].update(name="Film", is_locked=True, is_visible=False),
            ["layer v: name nothing → Film, hidden, locked"],
        ),
        (
            lambda w, c: w["markers"].append({"id": "n", "label": "Chapter 2", "time": 12}),
            ["added marker Chapter 2 at 12.0 s"],
        ),
        (lambda w, c: w["markers"].clear(), ["removed marker Intro at 1.0 s"]),
        (
            lambda w, c: w["markers"][0].update(time=2, color="#fff"),
            ["marker Intro: time 1.0 → 2.0 s, color nothing → #fff"],
        ),
        (
            lambda w, c: c["one"]["keyframes"][0].update(value=1, time=2),
            ["clip one: keyframe opacity at 1.0 s: time 1.0 → 2.0 s and value 0.5 → 1"],
        ),
        (
            lambda w, c: w.update(duration=40, fps_num=30_000, fps_den=1_001),
            ["timeline: duration 34.0 → 40.0 s, 30 → 30000/1001 frames per second"],
        ),
        (lambda w, c: w.update(playhead_time=3, zoom=2), []),
    ],
)
def test_an_edit_is_told_in_words(edit, lines):
    assert told(edit) == lines


def test_a_clip_is_called_by_its_title_its_file_or_its_id():
    base = with_clip(a_state(), source_path="/media/harbour.mp4")
    after = with_clip(base, **times(12, 16))
    assert words(base, after) == ["clip harbour.mp4: start 10.0 → 12.0 s"]
    base, after = with_clip(base, content="Intro"), with_clip(after, content="Intro")
    assert words(base, after) == ["clip Intro: start 10.0 → 12.0 s"]


def test_clips_that_went_the_same_way_are_told_together():
    base = a_state()

    def ripple(wire, clips):
        for clip in clips.values():
            clip["start_time"] += 1.5
            clip["end_time"] += 1.5
        clips["two"]["content"] = "x"

    after = edited(base, ripple)
    assert words(base, after) == [
        "moved 3 clips by +1.5 s",
        "clip two: start 20.0 → 21.5 s, content nothing → x",
    ]
    assert words(after, base)[0] == "moved 3 clips by -1.5 s"


def test_long_texts_and_many_changes_are_cut_short():
    base = samples.timeline(1, 2_000)
    lines = words(base, samples.timeline(2, 2_000))
    assert len(lines) == MAX_LINES
    assert lines[-1].startswith("and ")
    assert lines[-1].endswith(" more changes")
    properties = {f"{'p' * 200}{number}": "x" * 9_000 for number in range(200)}
    long = with_clip(a_state(), content="y\u202e" * 5_000, properties=properties)
    assert max(map(len, words(a_state(), long))) < 1_000


def content_of(state):
    """The state without its view."""
    wire = states.to_builtins(state)
    return json.dumps({**wire, "playhead_time": 0}, sort_keys=True)


@given(threes)
@unhurried
def test_whatever_differs_is_told(three):
    before, after, _ = three
    differs = content_of(before) != content_of(after)
    assert bool(words(before, after)) == differs
    assert bool(overlaps.touched(before, after)) == differs


# --- What was changed since


def test_the_report_says_what_changed_since_and_whether_mine_touches_it():
    base = a_state()

    def edit(wire, clips):
        clips["one"]["properties"]["volume"] = 2
        clips["one"]["keyframes"][0]["value"] = 2
        clips["two"]["content"] = "x"
        wire["layers"][1]["clips"].append(wire["layers"][0]["clips"].pop())
        wire["markers"].clear()
        wire["duration"] = 40
        wire["playhead_time"] = 4

    mine = with_clip(with_clip(base, content="y"), "four", content="y")
    found = overlaps.report(base, edited(base, edit), mine)
    clip = 'layers["v"].clips["{}"]'.format
    assert [(one.element, one.theirs, one.mine, one.overlaps) for one in found] == [
        ("", ["duration"], [], False),
        (clip("one"), ["properties.volume", 'keyframes["k"].value'], ["content"], True),
        (clip("two"), ["content"], [], False),
        (clip("three"), ["layer"], [], False),
        ('markers["m"]', ["removed"], [], False),
    ]


def test_the_report_tells_orders_and_what_was_added():
    base = a_state()

    def edit(wire, clips):
        wire["layers"].reverse()
        wire["layers"][1]["clips"].reverse()
        wire["layers"][1]["clips"].append(a_clip("new"))

    found = {one.element: one.theirs for one in overlaps.report(base, edited(base, edit), base)}
    assert found == {
        "": ["layers"],
        'layers["v"]': ["clips"],
        'layers["v"].clips["new"]': ["added"],
    }


def test_two_thousand_clips_are_told_in_a_moment():
    base = samples.timeline(1, 2_000)
    theirs, mine = (samples.move_clip(base, Random(seed)) for seed in (1, 2))
    sides = [states.decode(states.encode(side), TimelineState) for side in (base, theirs, mine)]
    start = thread_time()  # of the processor: what else a busy machine does doesn't count
    assert len(words(*sides[:2])) == len(overlaps.report(*sides)) == 1
    assert thread_time() - start < 0.5, "it takes 30 ms"
