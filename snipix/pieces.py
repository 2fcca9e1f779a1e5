"""Long lists of a state, stored in pieces, so that saving costs what was changed of them.

Where the lists at one place of a state (the clips of all layers) have more than `INLINE` elements,
the document holds `{"pieces": [id, …]}` in place of each, and the elements are in a collection of
their own. A piece is named by the SHA-256 of whose it is and what it holds, and never rewritten: a
save inserts the pieces that are new and removes those that it no longer refers to, in its own
transaction. Pieces begin where an element's id says so, so that an insert shifts no boundary but
its own ("content-defined chunking": Muthitacharoen et al., "A Low-bandwidth Network File System",
SOSP 2001).

A reader outside a transaction may find a piece gone, since somebody has saved meanwhile. The
version that it has begun to read is in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from zlib import crc32

import msgspec
from django.db import models
from django_mongodb_backend.query import wrap_database_errors
from msgspec import inspect
from msgspec.structs import force_setattr, replace
from pymongo import ASCENDING, IndexModel, ReplaceOne

from snipix import states
from snipix.memory import contents
from snipix.mongo import BsonField, connection
from snipix.states import Struct

if TYPE_CHECKING:
    from snipix.documents import Document

INLINE = 64
"""Elements of the lists at one place, together, that stay in the document."""
_SHORT = 8
"""A list that isn't worth a piece, however many elements the others have."""
_MEAN, _MOST = 32, 128
"""Elements of a piece, on average and at most."""
_WEIGHT = 4
"""Bytes in memory for a byte of JSON, about."""

Path = tuple[str, ...]
"""The names that lead to lists: `("layers", "clips")` are the clips of all layers."""


Fetch = Callable[["Document", Collection[bytes]], dict[bytes, list[Any]]]
"""How the elements of some pieces of a document are read, by the pieces' ids. PieceMissing."""


class PieceMissing(Exception):
    """A piece that a document refers to isn't there (any more)."""


class Piece(models.Model):
    """Some consecutive elements of a long list. Never rewritten."""

    goes_with_project = True
    collection_indexes: ClassVar[Sequence[IndexModel]] = (IndexModel([("projectId", ASCENDING)]),)

    id = models.BinaryField(primary_key=True)
    project_id = models.CharField(max_length=64, db_column="projectId")
    elements = BsonField()

    class Meta:
        db_table = "pieces"

    def __str__(self) -> str:
        return f"piece {bytes(self.id).hex()} of {self.project_id}"


class Change(NamedTuple):
    """What a new state changes among the pieces of its document."""

    added: dict[bytes, list[Struct]]
    dropped: list[bytes]

    @wrap_database_errors
    def write(self, document: Document) -> None:
        """Store it, within the change that stores the document."""
        collection = connection.get_collection(Piece._meta.db_table)
        if self.added:
            # In place of a piece that shouldn't be there, rather than failing on it for ever.
            stored = self.stored(document)
            replacing = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in stored]
            collection.bulk_write(replacing, session=connection.session)
        if self.dropped:
            collection.delete_many(_match(document, self.dropped), session=connection.session)

    def stored(self, document: Document) -> Iterator[dict[str, Any]]:
        """The pieces that are added, as MongoDB keeps them."""
        for id, piece in self.added.items():
            elements = msgspec.to_builtins(piece)
            yield {"_id": id, "projectId": document.project_id, "elements": elements}


NOTHING = Change({}, [])


class Split(NamedTuple):
    """A state in the forms that it is kept in."""

    stored: dict[str, Any]
    """What the document itself holds."""
    change: Change
    content: bytes
    """The canonical bytes of the whole."""

    def parts(self) -> Iterator[dict[str, Any]]:
        """What is stored anew, document by document."""
        yield self.stored
        for piece in self.change.added.values():
            yield {"elements": msgspec.to_builtins(piece)}


def split(document: Document, state: Struct) -> Split:
    """Part a new state of `document` into what this holds itself and its pieces."""
    paths = [p for p in document.long_lists if sum(map(len, _lists(state, p))) > INLINE]
    bare = state
    for path in paths:
        bare = _without(bare, path)
    stored, written = states.to_builtins(bare), states.to_builtins(bare)
    pieces: dict[bytes, list[Struct]] = {}
    for path in paths:
        owners = zip(_owners(stored, path), _owners(written, path), strict=True)
        for (holder, writer), elements in zip(owners, _lists(state, path), strict=True):
            holder[path[-1]], writer[path[-1]] = _cut(document, elements, pieces)
    return Split(stored, _change(document, pieces), states.encode(written))


def _change(document: Document, after: dict[bytes, list[Struct]]) -> Change:
    before = set(all_ids(document))
    added = {id: piece for id, piece in after.items() if id not in before}
    return Change(added, [id for id in before if id not in after])


def join(document: Document) -> Any:
    """The state that a document of the current schema holds. Raises PieceMissing."""
    bare, references = _bare(document)
    state = states.from_builtins(bare, document.state_type)
    for path, wanted in references.items():
        elements = _elements(document, path, wanted)
        for owner, ids in zip(_owners(state, path), wanted, strict=True):
            if ids:
                force_setattr(owner, path[-1], _chained(elements, ids))
    return state


def join_stored(document: Document, fetch_pieces: Fetch | None = None) -> dict[str, Any]:
    """What a document holds, as it is stored, whatever its schema. Raises PieceMissing.

    `fetch_pieces` says where the pieces are, if not in the database.
    """
    fetched = fetch_pieces or fetch
    whole, references = _bare(document)
    for path, wanted in references.items():
        elements = fetched(document, set(chain.from_iterable(wanted)))
        for owner, ids in zip(_owners(whole, path), wanted, strict=True):
            if ids:
                owner[path[-1]] = _chained(elements, ids)
    return whole


# --- Cutting


def _cut(
    document: Document, elements: list[Any], found: dict[bytes, list[Struct]]
) -> tuple[Any, Any]:
    """What stands in a list's place, and its JSON; its pieces are added to `found`."""
    if len(elements) <= _SHORT:
        return msgspec.to_builtins(elements), elements
    ids, written = [], []
    for piece in _pieces(elements):
        content = states.encode(piece)
        ids.append(_name(document, content))
        written.append(content[1:-1])
        found[ids[-1]] = piece
        contents.put((type(piece[0]), ids[-1]), piece, _WEIGHT * len(content))
    return {"pieces": ids}, msgspec.Raw(b"[%b]" % b",".join(written))


def _pieces(elements: list[Any]) -> Iterator[list[Any]]:
    first = 0
    for index in range(1, len(elements)):
        begins = crc32(elements[index].id.encode()) % _MEAN == 0
        if begins or index - first == _MOST:
            yield elements[first:index]
            first = index
    yield elements[first:]


def _name(document: Document, content: bytes) -> bytes:
    whose = f"{document.kind} {document.pk} ".encode()
    return sha256(whose + content).digest()[:16]


# --- Storing and fetching


def _match(document: Document, ids: Iterable[bytes]) -> dict[str, Any]:
    return {"_id": {"$in": list(ids)}, "projectId": document.project_id}


def _elements(document: Document, path: Path, wanted: list[list[bytes]]) -> dict[bytes, list[Any]]:
    """The elements of pieces, by the pieces' ids: remembered, or else fetched."""
    type_ = _element_type(document.state_type, path)
    found: dict[bytes, Any] = {id: contents.get((type_, id)) for id in chain.from_iterable(wanted)}
    missing = [id for id, piece in found.items() if piece is None]
    for id, stored in fetch(document, missing).items() if missing else ():
        piece = [states.from_builtins(element, type_) for element in stored]
        contents.put((type_, id), piece, _WEIGHT * len(states.encode(piece)))
        found[id] = piece
    return found


@wrap_database_errors
def fetch(document: Document, ids: Collection[bytes]) -> dict[bytes, list[Any]]:
    """The elements of pieces as they are stored, by the pieces' ids. Raises PieceMissing."""
    collection = connection.get_collection(Piece._meta.db_table)
    found = collection.find(_match(document, ids), session=connection.session)
    pieces = {bytes(piece["_id"]): piece["elements"] for piece in found}
    if len(pieces) < len(ids):
        raise PieceMissing(f"{len(ids) - len(pieces)} pieces of {document} aren't there")
    return pieces


@cache
def _element_type(type_: type[Struct], path: Path) -> Any:
    """The struct that the lists at a path are made of."""
    node: Any = inspect.type_info(type_)
    for name in path:
        node = next(field.type for field in node.fields if field.name == name)
        node = getattr(node, "type", node).item_type  # within the field's metadata, if it has any
    return node.cls


# --- Walking


def _bare(document: Document) -> tuple[dict[str, Any], dict[Path, list[list[bytes]]]]:
    """What a document holds itself, with empty lists for pieces, and the ids of these by path."""
    bare, references = document.stored_state, {}
    for path in document.long_lists:
        ids = [_ids(stored) for stored in _lists(bare, path)]
        if any(ids):
            references[path] = ids
            bare = _emptied(bare, path)
    return bare, references


def all_ids(document: Document) -> Iterator[bytes]:
    """The pieces that a document refers to."""
    for path in document.long_lists:
        for stored in _lists(document.stored_state, path):
            yield from _ids(stored)


def _ids(stored: Any) -> list[bytes]:
    return [bytes(id) for id in stored["pieces"]] if isinstance(stored, dict) else []


def _owners(tree: Any, path: Path) -> list[Any]:
    """What has the lists at a path, of a state or of what is stored of it."""
    owners = [tree]
    for name in path[:-1]:
        owners = [child for owner in owners for child in _get(owner, name)]
    return owners


def _lists(tree: Any, path: Path) -> list[Any]:
    return [_get(owner, path[-1]) for owner in _owners(tree, path)]


def _get(tree: Any, name: str) -> Any:
    return tree[name] if isinstance(tree, dict) else getattr(tree, name)


def _without(state: Struct, path: Path) -> Struct:
    """A state without the lists at a path."""
    name, *rest = path
    kept = [_without(child, tuple(rest)) for child in getattr(state, name)] if rest else []
    return replace(state, **{name: kept})


def _emptied(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    """What is stored, with empty lists where a path leads to pieces."""
    name, *rest = path
    if rest:
        return {**stored, name: [_emptied(child, tuple(rest)) for child in stored[name]]}
    return {**stored, name: []} if _ids(stored[name]) else stored


def _chained(elements: dict[bytes, list[Any]], ids: list[bytes]) -> list[Any]:
    return list(chain.from_iterable(elements[id] for id in ids))
