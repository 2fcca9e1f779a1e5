"""How a state is stored in its history: as a zstd frame against the state before it.

What a state begins and ends with like the one before it is told by two lengths. Of the rest, the
previous state's bytes serve as a raw dictionary (RFC 8878, section 5), so that a frame costs what
has changed and not what there is.
"""

import struct
from collections.abc import Callable

import zstandard

_LEVEL = 6
_MIN_LOG, _MAX_HASH_LOG, _MAX_WINDOW_LOG = 17, 24, 27
_MOST_BYTES = 64 << 20
"""Of a state: many times what is ever saved. What claims to hold more would fill the memory."""
_EQUAL_ENDS = struct.Struct("<cII")
"""A mark that no zstd frame begins with, and how many bytes are equal, at the start and the end."""
_MARK = b"\x01"


def compress(content: bytes, previous: bytes | None) -> bytes:
    """The frame of `content`, whole or, with `previous`, as its difference from that."""
    if previous is None:
        return _compress(content, None)
    start, end = _equal_ends(content, previous)
    changed = _compress(content[start : len(content) - end], previous[start : len(previous) - end])
    return _EQUAL_ENDS.pack(_MARK, start, end) + changed


def is_difference(frame: bytes) -> bool:
    """Whether a frame surely isn't whole; one from before there were marks may not be either."""
    return frame[:1] == _MARK


def decompress(frame: bytes, previous: bytes | None) -> bytes:
    """The content of a frame, given the same `previous` as when it was made.

    Raises zstandard.ZstdError for a frame that is damaged or of another `previous`.
    """
    if previous is None or frame[:1] != _MARK:  # before there were marks, no ends were told
        return _decompress(frame, previous)
    if len(frame) < _EQUAL_ENDS.size:
        raise zstandard.ZstdError("the frame is cut")
    _, start, end = _EQUAL_ENDS.unpack_from(frame)
    if start + end > len(previous):
        raise zstandard.ZstdError("the frame is of a longer state")
    last = len(previous) - end
    changed = _decompress(frame[_EQUAL_ENDS.size :], previous[start:last])
    return previous[:start] + changed + previous[last:]


def _equal_ends(content: bytes, previous: bytes) -> tuple[int, int]:
    """How many bytes are equal at the start and, of what is left, at the end."""
    most = min(len(content), len(previous))
    start = _longest(most, lambda n: content.startswith(previous[:n]))
    end = _longest(most - start, lambda n: content.endswith(previous[len(previous) - n :]))
    return start, end


def _longest(most: int, is_equal: Callable[[int], bool]) -> int:
    """The largest length up to `most` that is equal: half as much to compare with every step."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if is_equal(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _compress(content: bytes, previous: bytes | None) -> bytes:
    parameters = _difference(len(content) + len(previous)) if previous else _whole(len(content))
    compressor = zstandard.ZstdCompressor(
        dict_data=_dictionary(previous), compression_params=parameters
    )
    return compressor.compress(content)


def _whole(size: int) -> zstandard.ZstdCompressionParameters:
    return zstandard.ZstdCompressionParameters.from_level(_LEVEL, source_size=size)


def _difference(size: int) -> zstandard.ZstdCompressionParameters:
    """Parameters that find every repeat of a dictionary as large as the content itself.

    The window must span both. The hash table must have room for both: with a level's own, what
    lies far back is forgotten, and a small edit of five megabytes costs 700 kB instead of 500
    bytes. With an entry for every four bytes the fast strategy finds as much as the thorough ones.
    """
    log = max(size.bit_length(), _MIN_LOG)
    return zstandard.ZstdCompressionParameters(
        strategy=zstandard.STRATEGY_FAST,
        min_match=6,
        hash_log=min(log - 2, _MAX_HASH_LOG),
        window_log=min(log, _MAX_WINDOW_LOG),
    )


def _decompress(frame: bytes, previous: bytes | None) -> bytes:
    if zstandard.frame_content_size(frame) > _MOST_BYTES:
        raise zstandard.ZstdError("the frame is of a state that is longer than any")
    return zstandard.ZstdDecompressor(dict_data=_dictionary(previous)).decompress(frame)


def _dictionary(previous: bytes | None) -> zstandard.ZstdCompressionDict | None:
    if not previous:
        return None
    return zstandard.ZstdCompressionDict(previous, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
