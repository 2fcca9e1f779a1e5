"""Any timeline, as it is sent."""

from hypothesis import strategies as st

from snipix import free_values

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
