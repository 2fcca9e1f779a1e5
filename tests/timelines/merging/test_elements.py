"""Elements, and their order, that two have changed."""

from snipix import states
from tests.timelines.merging.given import (
    a_clip,
    a_state,
    both_ways,
    clip_of,
    edited,
    order_of,
    told,
    with_clip,
)
from timelines import orders


def test_a_clip_moved_to_another_layer_here_and_made_louder_there_is_both():
    base = a_state()

    def move(wire, clips):
        wire["layers"][0]["clips"].remove(clips["one"])
        wire["layers"][1]["clips"].append(clips["one"])

    louder = with_clip(base, properties={"volume": 2, "speed": 1})
    merged = both_ways(base, edited(base, move), louder)
    assert clip_of(merged).properties["volume"] == 2
    assert order_of(merged.state, 0) == ["two", "three"]
    assert order_of(merged.state, 1) == ["four", "one"]


def test_a_clip_moved_to_two_layers_is_a_conflict():
    base = a_state(layers=[*states.to_builtins(a_state())["layers"], {"id": "x", "type": "video"}])

    def move_to(layer):
        def move(wire, clips):
            wire["layers"][0]["clips"].remove(clips["one"])
            wire["layers"][layer]["clips"].append(clips["one"])

        return edited(base, move)

    path = 'layers["v"].clips["one"].layer'
    assert told(both_ways(base, move_to(1), move_to(2))) == [(path, "moved", "v", "w", "x")]


def remove_clip(wire, clips):
    wire["layers"][0]["clips"].remove(clips["one"])


def remove_layer(wire, clips):
    del wire["layers"][1]


def test_what_one_side_removed_and_the_other_left_alone_is_gone():
    base = a_state()
    merged = both_ways(base, edited(base, remove_clip), edited(base, remove_layer))
    assert [order_of(merged.state, i) for i in range(len(merged.state.layers))] == [
        ["two", "three"]
    ]


def test_a_clip_removed_here_and_changed_there_is_a_conflict():
    base = a_state()
    mine = with_clip(base, content="Harbour")
    [(path, kind, was, theirs, my)] = told(both_ways(base, edited(base, remove_clip), mine))
    assert (path, kind, theirs) == ('layers["v"].clips["one"]', "removed and changed", None)
    assert (was["content"], my["content"], my["layer"]) == ("", "Harbour", "v")


def test_a_layer_removed_here_and_given_a_clip_there_is_a_conflict():
    base = a_state()

    def add(wire, clips):
        wire["layers"][1]["clips"].append(a_clip("new"))

    [(path, kind, was, theirs, mine)] = told(
        both_ways(base, edited(base, remove_layer), edited(base, add))
    )
    assert (path, kind, theirs) == ('layers["w"]', "removed and changed", None)
    assert (was["clips"], mine["clips"]) == (["four"], ["four", "new"])


def test_a_layer_removed_here_and_put_in_order_there_is_a_conflict():
    base = a_state()

    def remove(wire, clips):
        del wire["layers"][0]

    def reorder(wire, clips):
        wire["layers"][0]["clips"].reverse()

    [(path, kind, *_)] = told(both_ways(base, edited(base, remove), edited(base, reorder)))
    assert (path, kind) == ('layers["v"]', "removed and changed")


def test_a_layer_removed_with_a_clip_changed_there_is_one_conflict_about_the_clip():
    base = a_state()
    mine = with_clip(base, "four", content="Harbour")
    [(path, *_)] = told(both_ways(base, edited(base, remove_layer), mine))
    assert path == 'layers["w"].clips["four"]'


def test_what_both_added_is_there_once_if_it_is_the_same():
    base = a_state()

    def add(content):
        def edit(wire, clips):
            wire["layers"][1]["clips"].append(a_clip("new", content=content))

        return edited(base, edit)

    assert both_ways(base, add("x"), add("x")).state == add("x")
    [(path, kind, was, theirs, mine)] = told(both_ways(base, add("x"), add("y")))
    assert (path, kind, was) == ('layers["w"].clips["new"]', "added differently", None)
    assert (theirs["content"], mine["content"]) == ("x", "y")


def test_a_layer_that_both_added_holds_the_clips_of_both():
    base = a_state()

    def add(clip):
        layer = {"id": "new", "type": "text", "clips": [clip]}
        return edited(base, lambda wire, clips: wire["layers"].append(layer))

    merged = both_ways(base, add(a_clip("late", 9)), add(a_clip("soon", 3)))
    assert order_of(merged.state, 2) == ["soon", "late"]


def test_keyframes_and_markers_are_merged_by_id():
    base = a_state()

    def edit_theirs(wire, clips):
        clips["one"]["keyframes"][0]["value"] = 1
        wire["markers"].append({"id": "n", "time": 8})

    def edit_mine(wire, clips):
        clips["one"]["keyframes"][0]["easing"] = "linear"
        clips["one"]["keyframes"].append({"id": "l", "time": 2, "property": "opacity"})
        wire["markers"][0]["color"] = "#fff"

    merged = both_ways(base, edited(base, edit_theirs), edited(base, edit_mine))
    first, second = clip_of(merged).keyframes
    assert (first.value, first.easing, second.id) == (1, "linear", "l")
    assert [(m.id, m.color) for m in merged.state.markers] == [("m", "#fff"), ("n", "")]


# --- Orders


def reordered(state, *ids):
    def edit(wire, clips):
        wire["layers"][0]["clips"] = [clips.get(id, a_clip(id)) for id in ids]

    return edited(state, edit)


def test_the_order_of_the_only_side_that_changed_it_is_taken():
    base = a_state()
    merged = both_ways(base, reordered(base, "three", "one", "two"), with_clip(base, content="x"))
    assert order_of(merged.state) == ["three", "one", "two"]


def test_orders_changed_in_different_places_are_both_kept():
    base = reordered(a_state(), *"abcdef")
    merged = both_ways(base, reordered(base, *"bacdef"), reordered(base, *"abcdfe"))
    assert order_of(merged.state) == [*"bacdfe"]


def test_turns_of_different_pairs_are_both_kept():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"bca"), reordered(base, *"acb"))
    assert order_of(merged.state) == [*"cba"]


def test_orders_that_go_round_in_a_circle_are_a_conflict_with_the_three():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"bac"), reordered(base, *"acb"))
    path = 'layers["v"].clips'
    assert told(merged) == [(path, "reordered", [*"abc"], [*"bac"], [*"acb"])]


def test_what_is_added_stays_behind_its_neighbour():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"axbc"), reordered(base, *"cab"))
    assert order_of(merged.state) == [*"caxb"]


def test_what_both_added_in_different_places_is_a_conflict_of_orders():
    base = reordered(a_state(), *"ab")
    merged = both_ways(base, reordered(base, *"xab"), reordered(base, *"abx"))
    path = 'layers["v"].clips'
    assert told(merged) == [(path, "reordered", [*"ab"], [*"xab"], [*"abx"])]
    merged = both_ways(base, reordered(base, *"xab"), reordered(base, *"xba"))
    assert order_of(merged.state) == [*"xba"]


def test_layers_are_ordered_like_clips():
    base = a_state()

    def turn(wire, clips):
        wire["layers"].reverse()

    def add(wire, clips):
        wire["layers"].insert(1, {"id": "x", "type": "text"})

    merged = both_ways(base, edited(base, turn), edited(base, add))
    assert [layer.id for layer in merged.state.layers] == ["w", "v", "x"]


def test_the_orders_of_as_many_clips_as_there_may_be_are_merged():
    base = [str(number) for number in range(5_000)]
    theirs, mine = [*base[:2_400][::-1], *base[2_400:]], [*base[:2_600], *base[2_600:][::-1]]
    merged = orders.merged(base, theirs, mine, set(base), key=str)
    assert merged == [*base[:2_400][::-1], *base[2_400:2_600], *base[2_600:][::-1]]
