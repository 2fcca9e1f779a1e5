"""What the older client and we don't know of each other, kept in both directions.

Keys of an element that our definition doesn't have go into its `metadata`, under `KEY`, and come
back to where they were when these paths answer. Fields that the older client doesn't know, and so
leaves out of what it saves, stay as they were: it can't mean to remove them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from snipix import states
from snipix.refusals import InvalidState
from snipix.states import Struct
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState
from transcriptions.state import Segment, TranscriptionState, Word

KEY = "older_client"
CHILDREN: Mapping[type[Struct], Mapping[str, type[Struct]]] = {
    TimelineState: {"layers": Layer, "markers": Marker},
    Layer: {"clips": Clip},
    Clip: {"keyframes": Keyframe},
    TranscriptionState: {"segments": Segment},
    Segment: {"words": Word},
}
OTHER_SPELLINGS: Mapping[type[Struct], Mapping[str, str]] = {Word: {"isFiller": "is_filler"}}
"""What the client calls a field that goes by another name on the wire."""
UNKNOWN_TO_IT = ("metadata", "fps_num", "fps_den")


# --- Keys that we don't know


def taken_in(sent: Any, type_: type[Struct]) -> Any:
    """An element as we define it, with everything else of it within its metadata.

    What isn't an element at all stays as it is, for whoever checks it to refuse.
    """
    if not isinstance(sent, Mapping):
        return sent
    taken = _fields_taken_in(_spelt(sent, type_), type_.__struct_fields__)
    return _children_taken_in(taken, type_)


def changes(sent: Mapping[str, Any], before: Struct) -> dict[str, Any]:
    """What a change of some of an element's fields sets, as we define them."""
    type_ = type(before)
    taken = changes_of(_spelt(sent, type_), before.metadata, type_.__struct_fields__)  # type: ignore[attr-defined]
    return _children_taken_in(taken, type_)


def changes_of(
    sent: Mapping[str, Any], metadata: Mapping[str, Any], known: Sequence[str]
) -> dict[str, Any]:
    """The same, given the fields that we know and the metadata there are; these are among it.

    Keys that we don't know join those that were kept before.
    """
    return _fields_taken_in({**metadata_put_back(metadata), **sent}, known)


def _children_taken_in(taken: dict[str, Any], type_: type[Struct]) -> dict[str, Any]:
    for name, child in CHILDREN.get(type_, {}).items():
        if isinstance(taken.get(name), list):
            taken[name] = [taken_in(each, child) for each in taken[name]]
    return taken


def _fields_taken_in(sent: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """The known fields; all others are in `metadata`, which has to be one of them."""
    taken = {name: value for name, value in sent.items() if name in known}
    metadata = taken.get("metadata", {})
    if not isinstance(metadata, Mapping):
        return taken
    rest: dict[str, Any] = {name: value for name, value in sent.items() if name not in known}
    if KEY in metadata:
        # Its own use of our key. `metadata` is no unknown field, so the name is free here.
        rest["metadata"] = {KEY: metadata[KEY]}
    if rest:
        taken["metadata"] = {**metadata, KEY: rest}
    return taken


def _spelt(sent: Mapping[str, Any], type_: type[Struct]) -> Mapping[str, Any]:
    """With our spelling of each field; where both are there, ours counts."""
    if not (others := OTHER_SPELLINGS.get(type_)):
        return sent
    ours = {others[name]: value for name, value in sent.items() if name in others}
    return {**ours, **{name: value for name, value in sent.items() if name not in others}}


def put_back(state: Struct) -> dict[str, Any]:
    """A state as these paths answer it: what `taken_in` was given, with defaults filled in."""
    return _put_back(states.to_builtins(state), type(state))


def _put_back(element: dict[str, Any], type_: type[Struct]) -> dict[str, Any]:
    for name, child in CHILDREN.get(type_, {}).items():
        element[name] = [_put_back(each, child) for each in element[name]]
    for other, ours in OTHER_SPELLINGS.get(type_, {}).items():
        element[other] = element[ours]
    return _fields_put_back(element)


def metadata_put_back(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What was beside an element's known fields, and its own `metadata` among that."""
    return _fields_put_back({"metadata": metadata})


def _fields_put_back(element: dict[str, Any]) -> dict[str, Any]:
    metadata = element["metadata"]
    if not isinstance(rest := metadata.get(KEY), Mapping):
        return element  # nothing, or what a client of v1 keeps under this name
    own = {name: value for name, value in metadata.items() if name != KEY}
    return {**rest, **element, "metadata": {**own, **_own(rest)}}


def _own(rest: Mapping[str, Any]) -> Mapping[str, Any]:
    own = rest.get("metadata")
    return own if isinstance(own, Mapping) else {}


@contextmanager
def told_as_sent(before: str = "") -> Iterator[None]:
    """Say of every refusal where it is in the body; `before` is what comes before each path."""

    def path(ours: str) -> str:
        return (before + ours).replace(f".metadata.{KEY}", "").removeprefix(f"metadata.{KEY}.")

    try:
        yield
    except InvalidState as refused:
        raise InvalidState([replace(p, path=path(p.path)) for p in refused.errors]) from None


# --- Fields that it doesn't know


def carried_over(sent: Any, before: Struct) -> Any:
    """What was sent as the next state after `before`, with what its sender doesn't know of that.

    Elements are known by their ids, wherever they are now.
    """
    return _carried(sent, type(before), "", dict(_unknown_of(before)))


Place = tuple[type[Struct], str, str]
"""An element: its type, its id, and the id of the clip that a keyframe's is unique within."""


def _carried(sent: Any, type_: type[Struct], within: str, known: Mapping[Place, Any]) -> Any:
    if not isinstance(sent, Mapping):
        return sent
    id = str(sent.get("id", "")) if "id" in type_.__struct_fields__ else ""
    carried = {**known.get((type_, within, id), {}), **sent}
    for name, child in CHILDREN.get(type_, {}).items():
        if isinstance(sent.get(name), list):
            scope = id if child is Keyframe else ""
            carried[name] = [_carried(each, child, scope, known) for each in sent[name]]
    return carried


def _unknown_of(element: Struct, within: str = "") -> Iterator[tuple[Place, dict[str, Any]]]:
    id = getattr(element, "id", "")
    fields = {name: getattr(element, name) for name in UNKNOWN_TO_IT if hasattr(element, name)}
    fields["metadata"] = {name: v for name, v in fields["metadata"].items() if name != KEY}
    if any(fields.values()):  # so that most elements of a long list are passed over
        yield (type(element), within, id), fields
    for name, child in CHILDREN.get(type(element), {}).items():
        for each in getattr(element, name):
            yield from _unknown_of(each, id if child is Keyframe else "")
