"""Which kind of video a file is, and whether it is that from its first byte to its last.

Its content decides, not what its sender calls it. The outermost structure has to fill the file: one
that was cut off ends too early, and what is hung on behind (an archive, a page) belongs to no
video. No part of Snipix is imported here, as the child process that looks into files has none.
"""

from __future__ import annotations

import string
from typing import BinaryIO

HEAD_BYTES = 64
"""What `kind_of` has to be given of a file, if it has as much."""
MEDIA_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}

_LONGEST_FTYP = 4096
_STILL_OR_SOUND = {
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2",
    b"msf1", b"crx ", b"jp2 ", b"jpm ", b"jpx ", b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ",
}  # fmt: skip
"""Brands (ISO/IEC 14496-12, 4.3) of what is built like a video, and is a picture or sound."""
_QUICKTIME = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
"""What a movie of before 2001 may begin with."""
_PRINTABLE = frozenset(string.printable.encode())
_BOX_TYPE = frozenset((string.ascii_letters + string.digits + " -_.").encode() + b"\xa9")

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_DOCTYPE = b"\x42\x82"
_ELEMENTS = {
    _EBML, _SEGMENT, _CLUSTER,
    0xEC, 0xBF, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469,
    0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF,
}  # fmt: skip
"""Elements of a segment and of a cluster (RFC 9559, 5.1), which may have no stated end."""

_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL = 22 + 65_535


class NotWhole(ValueError):
    """The file's structure doesn't fill it; the message says so to people."""


def kind_of(head: bytes) -> str | None:
    """The container that a file's first bytes are those of; None for what isn't taken."""
    if head[4:8] == b"ftyp":
        return _kind_of_brand(head)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if int.from_bytes(head[:4], "big") == _EBML:
        return _kind_of_doctype(head)
    # With a text before it that others might read: `<!--mdat`
    if head[4:8] in _QUICKTIME and not _PRINTABLE.issuperset(head[:4]):
        return "mov"
    return None


def check_whole(file: BinaryIO, size: int, kind: str) -> None:
    """Raise NotWhole unless the file is of this kind from its first byte to its last."""
    match kind:
        case "mp4" | "mov":
            end = _end_of_boxes(file, size)
        case "avi":
            end = _end_of_chunks(file, size)
        case _:
            end = _end_of_elements(file, size)
    if end > size:
        raise NotWhole(f"it was cut off: {end - size:,} bytes are missing at its end")
    if end < size:
        raise NotWhole(f"{size - end:,} bytes at its end belong to no video")
    if other := _also(file, size):
        raise NotWhole(f"it is a {other}, too")


def _kind_of_brand(head: bytes) -> str | None:
    brand = head[8:12]
    if int.from_bytes(head[:4], "big") > _LONGEST_FTYP or brand in _STILL_OR_SOUND:
        return None
    return "mov" if brand == b"qt  " else "mp4"


def _kind_of_doctype(head: bytes) -> str | None:
    _, _, rest = head.partition(_DOCTYPE)
    name = rest[1 : 1 + (rest[0] & 0x7F)] if rest else b""
    return {b"matroska": "mkv", b"webm": "webm"}.get(name.rstrip(b"\0"))


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the boxes (ISO/IEC 14496-12, 4.2) end, or what is none of them begins."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0 and kind == b"mdat":
            length = size - position  # it reaches to the end
        if length < 8 or len(header) < 8 or not _BOX_TYPE.issuperset(kind):
            return position
        position += length
    return position


def _end_of_chunks(file: BinaryIO, size: int) -> int:
    """Where the chunks of an AVI file end; one of more than a gigabyte has several."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(12)
        is_movie = header[:4] == b"RIFF" and header[8:12] in (b"AVI ", b"AVIX")
        if not is_movie and header[:4] != b"JUNK":
            return position
        length = int.from_bytes(header[4:8], "little")
        position += 8 + length + (length & 1)
    return size if position == size + 1 else position  # the last one's padding may be missing


def _end_of_elements(file: BinaryIO, size: int) -> int:
    """Where the elements of a Matroska or WebM file end (RFC 8794; RFC 9559).

    A browser that records states no length for segment and clusters: then it is what is in them
    that has to follow on.
    """
    position, has_segment = 0, False
    while position < size:
        file.seek(position)
        header = file.read(12)
        id_length = _vint_length(header[:1])
        size_length = _vint_length(header[id_length : id_length + 1])
        id = int.from_bytes(header[:id_length], "big")
        if id not in _ELEMENTS or not size_length or len(header) < id_length + size_length:
            return position
        stated = int.from_bytes(header[id_length : id_length + size_length], "big")
        length = stated - (1 << 7 * size_length)
        is_unknown = length == (1 << 7 * size_length) - 1
        if is_unknown and id not in (_SEGMENT, _CLUSTER):
            return position
        has_segment |= id == _SEGMENT
        position += id_length + size_length + (0 if is_unknown else length)
    if not has_segment:
        raise NotWhole("it was cut off: there is nothing behind its head")
    return position


def _vint_length(first: bytes) -> int:
    """Bytes of a number of variable length (RFC 8794, 4), by its first one; 0 for none."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _also(file: BinaryIO, size: int) -> str:
    """What other programs might take the file for, as they look elsewhere than at its beginning."""
    file.seek(0)
    if b"%PDF-" in file.read(1024):
        return "PDF document"
    file.seek(max(0, size - _ZIP_TAIL))
    return "ZIP archive" if _has_zip_end(file.read(_ZIP_TAIL)) else ""


def _has_zip_end(tail: bytes) -> bool:
    """Whether there is an end of central directory record, plausible beyond its four letters."""
    at = tail.rfind(_ZIP_END)
    while at >= 0:
        record = tail[at + 4 : at + 12]
        if len(tail) - at >= 22 and record[:4] == bytes(4) and record[4:6] == record[6:8]:
            return True
        at = tail.rfind(_ZIP_END, 0, at)
    return False
