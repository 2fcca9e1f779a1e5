"""What is in a video file: a program of its own, run as `probe.py VIDEO THUMBNAIL`.

It reads what strangers sent with libraries in C, so it has a process to itself, with little time
and memory, nothing of Snipix's environment, and no name of any other file. It prints a JSON object
with what it found, or why it refuses the file.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

CPU_SECONDS = 60
MEMORY_BYTES = 2 * 2**30
"""Of address space: a film of 8K needs one for its frames."""
WRITTEN_BYTES = 4 * 2**20
"""Of the thumbnail, and of what is printed."""
THUMBNAIL_PIXELS = 480
MOST_PIXELS = 16_384
_FASTEST = 1_000
"""Frames per second that are believed."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORMATS = {"mp4": "mov", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "matroska"}


class Refused(Exception):
    """The file isn't a video that can be shown; the message says why to people."""


def limit_self() -> None:
    """Take this process the means to harm others, whatever the file makes the libraries do."""
    os.nice(5)  # those who save come first
    limits = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: WRITTEN_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for limit, wanted in limits.items():
        _, hard = resource.getrlimit(limit)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (most, most))


def probe(path: str, thumbnail: str) -> dict[str, Any]:
    """Look into the file at `path`, and write a picture of it to `thumbnail`. Raises Refused."""
    kind = _checked_kind(path)
    # Told which demuxer to use, FFmpeg tries none of those that open other files and addresses.
    options = {"protocol_whitelist": "file"}
    with av.open(path, format=_FORMATS[kind], options=options, metadata_errors="replace") as movie:
        stream = _picture_stream(movie)
        found = _played(movie, stream)
    with av.open(path, format=_FORMATS[kind], options=options, metadata_errors="replace") as movie:
        size = _show(movie, found["duration"], thumbnail)
    return {"container": kind, **found, **size}


def _checked_kind(path: str) -> str:
    with Path(path).open("rb") as file:
        kind = containers.kind_of(file.read(containers.HEAD_BYTES))
        if kind is None:
            raise Refused("it isn't MP4, MOV, AVI, MKV or WebM")
        try:
            containers.check_whole(file, os.fstat(file.fileno()).st_size, kind)
        except containers.NotWhole as error:
            raise Refused(str(error)) from error
    return kind


def _picture_stream(movie: Any) -> Any:
    """The first stream of moving pictures: a record's cover is none."""
    cover = av.stream.Disposition.attached_pic
    for stream in movie.streams.video:
        if not stream.disposition & cover:
            stream.thread_count = 1  # threads would each have memory of their own
            return stream
    raise Refused("there are no moving pictures in it")


def _played(movie: Any, stream: Any) -> dict[str, Any]:
    """What reading the whole file tells, without decoding it: so its end is known to be there."""
    spans: dict[int, list[int]] = {}
    frames = 0
    for packet in movie.demux():
        if packet.is_corrupt:
            raise Refused("parts of it are damaged or missing")
        start = packet.dts if packet.pts is None else packet.pts
        if start is None or packet.stream.type not in ("video", "audio"):
            continue  # the end of a stream, or subtitles
        end = start + (packet.duration or 0)
        span = spans.setdefault(packet.stream.index, [start, end])
        span[0], span[1] = min(span[0], start), max(span[1], end)
        frames += packet.stream is stream
    if not frames:
        raise Refused("there is no frame in it")
    seconds = {n: (e - s) * movie.streams[n].time_base for n, (s, e) in spans.items()}
    rate = _rate(stream, frames, seconds[stream.index])
    duration = max(*seconds.values(), 1 / rate)
    sound = next((s for s in movie.streams.audio), None)
    return {
        "duration": round(float(duration), 6),
        "fps_num": rate.numerator,
        "fps_den": rate.denominator,
        "video_codec": stream.codec.canonical_name,
        "audio_codec": sound.codec.canonical_name if sound and sound.codec_context else None,
    }


def _rate(stream: Any, frames: int, seconds: Fraction) -> Fraction:
    """Frames per second: as the file says or, where it doesn't, as they come."""
    for stated in (stream.average_rate, stream.guessed_rate):
        if stated and 0 < stated <= _FASTEST:
            return Fraction(stated)
    counted = Fraction(frames) / seconds if seconds > 0 else Fraction(25)
    return max(min(counted, Fraction(_FASTEST)), Fraction(1, 1000)).limit_denominator(1001)


def _show(movie: Any, duration: float, thumbnail: str) -> dict[str, int]:
    """Decode the beginning, and a frame from a little later for the thumbnail: films fade in."""
    stream = _picture_stream(movie)
    frame = next(_frames(movie, stream), None)
    if frame is None:
        raise Refused("none of its frames can be decoded")
    width, height = frame.width, frame.height
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise Refused(f"its frames have {width:,} by {height:,} pixels")
    frame = _later(movie, stream, min(duration / 10, 3.0)) or frame
    turned = frame.rotation % 180 == 90
    _small(frame).save(thumbnail, qscale="4")
    return {"width": height, "height": width} if turned else {"width": width, "height": height}


def _frames(movie: Any, stream: Any) -> Iterator[Any]:
    for packet in movie.demux(stream):
        yield from packet.decode()


def _later(movie: Any, stream: Any, seconds: float) -> Any:
    try:
        movie.seek(int(seconds * 1e6))
        return next(_frames(movie, stream), None)
    except av.FFmpegError:
        return None  # there is the first frame


def _small(frame: Any) -> Any:
    """The frame upright, and not larger than a thumbnail."""
    scale = min(1.0, THUMBNAIL_PIXELS / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    # Counterclockwise, as the display matrix says it.
    turns = {90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}.get(frame.rotation % 360, [])
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=av.VideoFormat(frame.format.name),
            time_base=Fraction(1, 1000),
        ),
        graph.add("scale", f"{width}:{height}"),
        *(graph.add("transpose", turn) for turn in turns),
        graph.add("format", "yuvj420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull()


def _answer(path: str, thumbnail: str) -> dict[str, Any]:
    try:
        return probe(path, thumbnail)
    except Refused as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "it needs more memory to decode than it may have"}
    except _FAILURES as error:
        if getattr(error, "errno", None) in _FULL:
            return {"full": True}
        return {"refused": f"it can't be decoded ({type(error).__name__})"}


if __name__ == "__main__":
    limit_self()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import av  # noqa: E402 - within the limits
import av.filter  # noqa: E402

from media import containers  # noqa: E402

_FAILURES = (av.FFmpegError, OSError, ValueError, ArithmeticError, LookupError, RuntimeError)
"""What the libraries make of a file that they can't read."""

if __name__ == "__main__":
    av.logging.set_level(av.logging.PANIC)
    print(json.dumps(_answer(*sys.argv[1:])))
