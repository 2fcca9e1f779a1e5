"""How a state is stored in its history: as a zstd frame against the state before it.

The previous state's bytes serve as a raw dictionary (RFC 8878, section 5), so that a frame costs
what has changed and not what there is.
"""

import zstandard

_LEVEL = 6
_MIN_LOG, _MAX_HASH_LOG, _MAX_WINDOW_LOG = 17, 24, 27


def compress(content: bytes, previous: bytes | None) -> bytes:
    """The frame of `content`, whole or, with `previous`, as its difference from that."""
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


def decompress(frame: bytes, previous: bytes | None) -> bytes:
    """The content of a frame, given the same `previous` as when it was made.

    Raises zstandard.ZstdError for a frame that is damaged or of another `previous`.
    """
    return zstandard.ZstdDecompressor(dict_data=_dictionary(previous)).decompress(frame)


def _dictionary(previous: bytes | None) -> zstandard.ZstdCompressionDict | None:
    if not previous:
        return None
    return zstandard.ZstdCompressionDict(previous, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
