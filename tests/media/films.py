"""Videos for tests, made here: tiny, and of every kind that is taken."""

import io
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

NTSC = Fraction(30_000, 1001)
FORMATS = {"mp4": "mp4", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "webm"}
CODECS = {"mp4": "mpeg4", "mov": "mpeg4", "avi": "mpeg4", "mkv": "mpeg4", "webm": "vp9"}


@cache
def film(
    kind: str = "mp4",
    *,
    rate: Fraction | int = 25,
    frames: int = 10,
    size: tuple[int, int] = (64, 48),
    sound: bool = False,
    picture: bool = True,
    is_split: bool = False,
    cover: bool = False,
    options: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A film in a container; each of its frames has another grey.

    One that is split is black on the left and white on the right.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(str(path), "w", format=FORMATS[kind], options=dict(options)) as movie:
            streams = []
            if picture:
                streams.append(_picture(movie, CODECS[kind], rate, size))
            if sound:
                streams.append(
                    movie.add_stream("pcm_s16le" if kind != "webm" else "libopus", 48_000)
                )
            if cover:
                streams.insert(0, _picture(movie, "mjpeg", 25, size))
                streams[0].disposition = av.stream.Disposition.attached_pic
            for stream in streams:
                if stream.type == "audio":
                    made = _silence(stream, frames)
                else:
                    count = 1 if stream.codec.name == "mjpeg" else frames
                    made = _halves(stream, count) if is_split else _greys(stream, count)
                for frame in made:
                    movie.mux(stream.encode(frame))
                movie.mux(stream.encode(None))
        return path.read_bytes()


def _picture(movie: Any, codec: str, rate: Any, size: tuple[int, int]) -> Any:
    stream = movie.add_stream(codec, rate=rate)
    stream.width, stream.height = size
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return stream


def _greys(stream: Any, frames: int) -> Any:
    for number in range(frames):
        frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 20 % 256]) * plane.buffer_size)
        frame.pts = number
        yield frame


def _halves(stream: Any, frames: int) -> Any:
    half = stream.width // 2
    for number in range(frames):
        frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
        light, *colours = frame.planes
        row = (bytes(half) + b"\xff" * half).ljust(light.line_size, b"\0")
        light.update(row * (light.buffer_size // light.line_size))
        for plane in colours:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = number
        yield frame


def _silence(stream: Any, frames: int) -> Any:
    for number in range(frames):
        frame = av.AudioFrame(stream.format.name, stream.layout.name, 960)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48_000, number * 960
        yield frame


@cache
def still(codec: str = "mjpeg", format: str = "mjpeg") -> bytes:
    """One picture."""
    made = io.BytesIO()
    with av.open(made, "w", format=format) as movie:
        stream = movie.add_stream(codec)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        frame = av.VideoFrame(64, 48, "yuvj420p")
        movie.mux(stream.encode(frame))
        movie.mux(stream.encode(None))
    return made.getvalue()


def box(kind: bytes, content: bytes = b"") -> bytes:
    """A box (ISO/IEC 14496-12, 4.2)."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content
