"""The archive's form: no byte of it can be changed unnoticed."""

from pathlib import Path
from typing import Any

import bson
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snipix.backups.archive import FORMAT, opened
from snipix.backups.format import HEAD, MEDIA, Damaged, Writer

NAMES = ["projects", "auth_user"]
NAMED = r"(block \d+ \(from byte [\d,]+ on\)|trailer|first 8 bytes|blocks aren't those)"


def write(path: Path, *, projects: int = 3, renewed: dict[str, int] | None = None) -> Path:
    """A small archive of every kind of block."""
    with path.open("wb") as file:
        writer = Writer(file, NAMES)
        described = [{"name": n, "is_there": True, "options": {}, "indexes": []} for n in NAMES]
        writer.write(HEAD, 0, "head", bson.encode({"format": FORMAT, "collections": described}))
        for number in range(projects):
            document = bson.encode({"_id": number, "projectId": f"p{number}"})
            writer.add("projects", document, f"project p{number}")
            writer.flush()
        others_from = writer.number
        writer.add("auth_user", bson.encode({"_id": 1}), "collection auth_user")
        writer.flush()
        writer.write(MEDIA, 0, "key/film.mp4", b"frames")
        writer.finish(
            moment="2026-01-31T12:00:00.000Z",
            database="snipix",
            others_from=others_from,
            renewed=renewed or {},
            projects=projects,
            media_files=1,
            media_bytes=6,
        )
    return path


def read(path: Path) -> list[Any]:
    with opened(path) as archive:
        return list(archive.blocks())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with opened(write(tmp_path / "a")) as archive:
        stored = [(s.belonging.project_id, s.belonging.collection) for s in archive.stored()]
        assert stored == [
            ("p0", "projects"),
            ("p1", "projects"),
            ("p2", "projects"),
            ("", "auth_user"),
        ]
        assert [(part.key, part.file, part.content) for part in archive.media()] == [
            ("key", "film.mp4", b"frames")
        ]


def test_of_a_project_that_was_copied_again_only_the_last_copy_counts(tmp_path: Path) -> None:
    with opened(write(tmp_path / "a", renewed={"p1": 9})) as archive:
        stored = [s.belonging.project_id for s in archive.stored()]
    assert stored == ["p0", "p2", ""]


def test_every_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    """Each byte of the archive, in all of its regions: magic, headers, labels, frames, trailer."""
    whole = write(tmp_path / "a").read_bytes()
    broken = tmp_path / "b"
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        broken.write_bytes(content)
        with pytest.raises(Damaged, match=NAMED):
            read(broken)


def test_the_block_that_was_changed_is_named_with_what_is_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    block = next(one for one in read(path) if one.label == "project p1")
    content = bytearray(path.read_bytes())
    content[block.offset + len(content[block.offset :].split(b"project p1")[0]) + 20] ^= 4
    path.write_bytes(content)
    with pytest.raises(Damaged, match=rf"block {block.number} .*\(project p1\) was changed"):
        read(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_archive_that_is_cut_longer_or_stirred_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("archive") / "a")
    whole = path.read_bytes()
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole)))
    kind = data.draw(st.sampled_from(["cut", "left out", "twice", "longer"]))
    changed = {
        "cut": whole[:first],
        "left out": whole[:first] + whole[last:],
        "twice": whole[:last] + whole[first:],
        "longer": whole + whole[first:last],
    }[kind]
    if changed == whole:
        return
    path.write_bytes(changed)
    with pytest.raises(Damaged):
        read(path)


def test_blocks_that_change_places_or_come_from_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    blocks, whole = read(path), bytearray(path.read_bytes())
    first, second, third = (blocks[number].offset for number in (1, 2, 3))
    path.write_bytes(whole[:first] + whole[second:third] + whole[first:second] + whole[third:])
    with pytest.raises(Damaged, match=r"block 1 .*block 2 is in its place"):
        read(path)
    forged = _with_other_document(tmp_path / "c")
    path.write_bytes(whole[:first] + forged[first : first + second - first] + whole[second:])
    with pytest.raises(Damaged):
        read(path)


def _with_other_document(path: Path) -> bytes:
    """An archive whose first project is another one, its block being as long and sound."""
    with path.open("wb") as file:
        writer = Writer(file, NAMES)
        described = [{"name": n, "is_there": True, "options": {}, "indexes": []} for n in NAMES]
        writer.write(HEAD, 0, "head", bson.encode({"format": FORMAT, "collections": described}))
        writer.add("projects", bson.encode({"_id": 7, "projectId": "p0"}), "project p0")
        writer.flush()
    return path.read_bytes()


def test_what_is_no_archive_is_told_so(tmp_path: Path) -> None:
    for content in (b"", b"SNIPIX", b"PK\x03\x04" * 100):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Damaged, match=r"first 8 bytes|isn't whole"):
            read(tmp_path / "a")


def test_a_block_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but us writes archives, but anybody may hand one to an operator."""
    with (tmp_path / "a").open("wb") as file:
        writer = Writer(file, NAMES)
        writer.write(HEAD, 0, "head", bytes(3_000))
        about = {"others_from": 1, "projects": 0, "media_files": None, "media_bytes": 0}
        writer.finish(moment="", database="", renewed={}, **about)
    monkeypatch.setattr("snipix.backups.format._MOST_BYTES", 2_000)
    with pytest.raises(Damaged, match="longer than any block"):
        read(tmp_path / "a")


def test_an_archive_of_a_later_form_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = lambda self: bson.encode({**msgspec.structs.asdict(self), "encrypted": True})  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr("snipix.backups.format.Manifest.encode", later)
        write(tmp_path / "a")
    with pytest.raises(Damaged, match="doesn't know"):
        read(tmp_path / "a")
