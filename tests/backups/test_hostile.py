"""Archives whose checksums are right and whose content isn't: anybody can sign one."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import bson
import msgspec
import pytest
import zstandard
from bson import ObjectId
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects.models import Project
from snipix.backups.archive import opened
from snipix.backups.format import (
    DOCUMENTS,
    HEAD,
    MANIFEST,
    MEDIA,
    Writer,
    pack_document,
    trailer,
    unpack_documents,
)
from snipix.mongo import connection
from tests.backups.test_backup import backup, stored

GONE = object()
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([GONE, "../../x", "film-1", datetime(2026, 1, 31, tzinfo=UTC), ObjectId()]),
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.binary(max_size=40),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=9),
    st.sampled_from([[], ["x"], {}, {"pieces": [b"x"]}, {"$where": "1"}]),
)


class Loose(NamedTuple):
    """A block that nobody has signed yet."""

    kind: bytes
    amount: int
    label: str
    content: bytes


class Forged(NamedTuple):
    """What an archive is made of."""

    blocks: list[Loose]
    about: dict[str, Any]
    manifest: bytes | None = None
    """In place of the one that would say what is `about` it."""

    def sign(self, path: Path) -> Path:
        with path.open("wb") as file:
            writer, digest = Writer(file, []), sha256()
            for block in self.blocks:
                digest.update(writer.write(*block))
            told = {**self.about, "blocks": len(self.blocks), "digest": digest.digest()}
            content = bson.encode(without_gone(told)) if self.manifest is None else self.manifest
            offset = file.tell()
            file.write(trailer(offset, writer.write(MANIFEST, 0, "manifest", content)))
        return path

    def with_block(self, number: int, **changes: Any) -> "Forged":
        blocks = list(self.blocks)
        blocks[number] = blocks[number]._replace(**changes)
        return self._replace(blocks=blocks)

    def find(self, kind: bytes) -> list[int]:
        return [number for number, block in enumerate(self.blocks) if block.kind == kind]


def without_gone(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not GONE}


def taken_apart(path: Path) -> Forged:
    with opened(path) as archive:
        blocks = [Loose(b.kind, b.amount, b.label, b.content) for b in archive.blocks()]
        return Forged(blocks, msgspec.structs.asdict(archive.manifest))


@pytest.fixture
def genuine(films: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forged:
    """An archive of many blocks, the documents of one being of few kinds."""
    with monkeypatch.context() as patched:
        patched.setattr("snipix.backups.format.BLOCK_BYTES", 4_000)
        backup(tmp_path / "genuine", "--media")
    return taken_apart(tmp_path / "genuine")


# --- Altering


@st.composite
def altered(draw: st.DrawFn, genuine: Forged) -> Forged:
    """An archive of which one thing is another one."""
    return draw(st.sampled_from([_block, _order, _document, _head, _manifest]))(draw, genuine)


def _block(draw: st.DrawFn, forged: Forged) -> Forged:
    number = draw(st.integers(0, len(forged.blocks) - 1))
    label = st.sampled_from(["../x", "a/../../x", "/etc/x", "a\\..\\x/y", "a/", "project film-1"])
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "kind": st.sampled_from([HEAD, DOCUMENTS, MEDIA, MANIFEST, b"what"]),
        "amount": st.integers(0, 2**32 - 1),
        "label": label,
        "content": st.binary(max_size=60) | _flipped(forged.blocks[number].content),
    }
    name = draw(st.sampled_from(sorted(strategies)))
    return forged.with_block(number, **{name: draw(strategies[name])})


def _flipped(content: bytes) -> st.SearchStrategy[bytes]:
    def flip(position: int) -> bytes:
        return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]

    return st.integers(0, max(len(content) - 1, 0)).map(flip) if content else st.just(b"x")


def _order(draw: st.DrawFn, forged: Forged) -> Forged:
    blocks = list(forged.blocks)
    first, second = (draw(st.integers(0, len(blocks) - 1)) for _ in range(2))
    match draw(st.sampled_from(["left out", "twice", "swapped"])):
        case "left out":
            del blocks[first]
        case "twice":
            blocks.insert(second, blocks[first])
        case "swapped":
            blocks[first], blocks[second] = blocks[second], blocks[first]
    return forged._replace(blocks=blocks)


def _document(draw: st.DrawFn, forged: Forged) -> Forged:
    number = draw(st.sampled_from(forged.find(DOCUMENTS)))
    documents = list(unpack_documents(BytesIO(forged.blocks[number].content)))
    position = draw(st.integers(0, len(documents) - 1))
    collection, content = documents[position]
    document = bson.decode(content)
    if draw(st.booleans()):
        document[draw(st.sampled_from(sorted(document)))] = draw(VALUES)
    else:
        collection = draw(st.integers(0, 30) | st.just(65_535))
    documents[position] = collection, bson.encode(without_gone(document))
    packed = b"".join(pack_document(*one) for one in documents)
    return forged.with_block(number, content=packed)


def _head(draw: st.DrawFn, forged: Forged) -> Forged:
    head = bson.decode(forged.blocks[0].content)
    if draw(st.booleans()):
        head[draw(st.sampled_from([*head, "more"]))] = draw(VALUES)
    else:
        one = draw(st.sampled_from(head["collections"]))
        one[draw(st.sampled_from([*one, "more"]))] = draw(VALUES)
        head["collections"] = [without_gone(each) for each in head["collections"]]
    return forged.with_block(0, content=bson.encode(without_gone(head)))


def _manifest(draw: st.DrawFn, forged: Forged) -> Forged:
    if draw(st.booleans()):
        return forged._replace(manifest=draw(st.binary(max_size=60)))
    name = draw(st.sampled_from([*forged.about, "more"]))
    return forged._replace(about={**forged.about, name: draw(VALUES)})


# --- What comes of it


def answer(*arguments: Any) -> tuple[int, str]:
    """What a command ends with: its exit code, and the sentence that says why."""
    try:
        call_command(*map(str, arguments), stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return error.returncode, str(error)
    return 0, ""


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_empty(database: str) -> bool:
    return connection.database.client[database].list_collection_names() == []


_MANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(_MANY, max_examples=200)
@given(data=st.data())
def test_whatever_is_signed_is_proven_or_refused_with_a_sentence(
    data: st.DataObject, genuine: Forged, tmp_path: Path
) -> None:
    path = data.draw(altered(genuine)).sign(tmp_path / "forged")
    code, told = answer("backup", path, "--verify")
    assert code in (0, 1, 3)
    assert (code == 0) == (told == "")
    assert "\n" not in told


@settings(_MANY, max_examples=25)
@given(data=st.data())
def test_what_is_refused_is_not_restored(
    data: st.DataObject, genuine: Forged, tmp_path: Path, media: Path, other: str
) -> None:
    path = data.draw(altered(genuine)).sign(tmp_path / "forged")
    before, kept = stored(), files(tmp_path)
    proven, _ = answer("backup", path, "--verify")
    restored, _ = answer("restore", path, "--database", other)
    assert restored in (0, 1, 3)
    if proven == 1:
        assert (restored, is_empty(other)) == (1, True)
        assert files(tmp_path) == kept
    assert {p for p in files(tmp_path) if not p.is_relative_to(media)} == {
        p for p in kept if not p.is_relative_to(media)
    }
    assert stored() == before
    connection.database.client.drop_database(other)


def packed(number: int, document: Mapping[str, Any]) -> bytes:
    return pack_document(number, bson.encode(document))


def sessions(forged: Forged) -> int:
    """The number of the collection whose documents would let somebody in."""
    named = [one["name"] for one in bson.decode(forged.blocks[0].content)["collections"]]
    return named.index("django_session")


def described(forged: Forged, **changes: Any) -> bytes:
    """The head, one of whose collections is another one."""
    head = bson.decode(forged.blocks[0].content)
    head["collections"][0] |= changes
    return bson.encode(head)


FORGERIES: list[tuple[Callable[[Forged], Forged], str]] = [
    (lambda f: f._replace(manifest=b"{}"), "its manifest: "),
    (lambda f: f._replace(about={"moment": "now"}), "missing required field"),
    (lambda f: f._replace(about={**f.about, "renewed": 3}), "Expected `object`, got `int`"),
    (lambda f: f._replace(about={**f.about, "projects": -1}), "Expected `int` >= 0"),
    (lambda f: f.with_block(0, content=b"{}"), "its head: "),
    (lambda f: f.with_block(0, content=described(f, name="x")), "knows no collection 'x'"),
    (
        lambda f: f.with_block(0, content=described(f, options={"viewOn": "auth_user"})),
        "projects has the option 'viewOn'",
    ),
    (lambda f: f.with_block(1, content=b"\0\0not BSON at all"), "holds what isn't BSON"),
    (lambda f: f.with_block(1, content=b"\0"), "its last document is cut"),
    (lambda f: f.with_block(1, content=packed(999, {"_id": 1})), "doesn't describe"),
    (lambda f: f.with_block(1, content=packed(sessions(f), {"_id": "key"})), "no backup does"),
    (lambda f: f.with_block(1, content=packed(0, {"projectId": "a"})), "without an _id"),
    (lambda f: f.with_block(1, kind=b"what"), "block 1 is of a kind"),
    (lambda f: f.with_block(f.find(MEDIA)[0], label="../../evil"), "no file of a project"),
    (lambda f: f.with_block(f.find(MEDIA)[0], label="a/../../evil"), "no file of a project"),
    (lambda f: f.with_block(f.find(MEDIA)[0], label="/etc/passwd"), "no file of a project"),
    (lambda f: f.with_block(f.find(MEDIA)[0], amount=7), "a part before it is gone"),
    (lambda f: f._replace(blocks=[*f.blocks, f.blocks[-1]]), "all media files"),
    (lambda f: f._replace(blocks=[*f.blocks, f.blocks[1]]), "twice, or not in its"),
]
"""What is done to an archive, and what is said of it."""


def test_what_no_backup_of_ours_holds_is_named(genuine: Forged, tmp_path: Path, other: str) -> None:
    for forge, told in FORGERIES:
        path = forge(genuine).sign(tmp_path / "forged")
        kept = files(tmp_path)
        for arguments in (("backup", path, "--verify"), ("restore", path, "--database", other)):
            code, sentence = answer(*arguments)
            assert (code, told in sentence) == (1, True), (told, sentence)
        assert is_empty(other)
        assert files(tmp_path) == kept


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, other: str) -> None:
    """As of somebody who decrypts an archive on the way."""
    os.mkfifo(path := tmp_path / "pipe")
    for arguments in (("backup", path, "--verify"), ("restore", path, "--database", other)):
        code, sentence = answer(*arguments)
        assert (code, "write it to a file first" in sentence) == (1, True), sentence


def test_a_block_that_does_not_say_how_long_it_is_can_not_fill_the_memory(
    genuine: Forged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = partial(zstandard.ZstdCompressor, write_content_size=False)
    with monkeypatch.context() as patched:
        patched.setattr(zstandard, "ZstdCompressor", silent)
        path = genuine.with_block(1, content=bytes(65 << 20)).sign(tmp_path / "bomb")
    code, told = answer("backup", path, "--verify")
    assert (code, "can't be decompressed" in told) == (1, True)


def test_a_document_that_could_not_be_served_is_not_restored_among_the_others(
    genuine: Forged, tmp_path: Path, other: str
) -> None:
    """All of it can be restored elsewhere: somebody may have it backed up just so."""
    (_, content), *rest = unpack_documents(BytesIO(genuine.blocks[1].content))
    odd = bson.encode({**bson.decode(content), "createdAt": "yesterday"})
    packs = b"".join(pack_document(*one) for one in [(0, odd), *rest])
    path = genuine.with_block(1, content=packs).sign(tmp_path / "odd")
    project_id = bson.decode(content)["projectId"]
    Project.everything.get(project_id=project_id).delete()
    Project.everything.get(project_id=project_id).purge()
    code, told = answer("restore", path, "--project", project_id)
    assert (code, "createdAt of" in told) == (1, True), told
    assert not Project.everything.filter(project_id=project_id).exists()
    assert answer("restore", path, "--database", other)[0] == 3
