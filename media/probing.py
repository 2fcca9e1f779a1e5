"""Looking into a video, in a process that can be thrown away: see `probe.py`."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from media.facts import InsufficientStorage, UnreadableVideo
from projects.state import Container

SECONDS = 120
"""For looking into one file: reading all of it, and decoding a few frames."""
_PROGRAM = Path(__file__).with_name("probe.py")
_logger = logging.getLogger(__name__)


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's content tells; the fields are those of `projects.state.Video`."""

    container: Container
    duration: Annotated[float, Meta(gt=0)]
    fps_num: Annotated[int, Meta(ge=1)]
    fps_den: Annotated[int, Meta(ge=1)]
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    video_codec: Annotated[str, Meta(max_length=40)]
    audio_codec: Annotated[str, Meta(max_length=40)] | None


class ProbeFailed(Exception):
    """The program itself doesn't run here: a mistake of ours, and none of the file's."""


def probe(video: Path, thumbnail: Path) -> Probed:
    """Look into a file, and write a picture of it.

    Raises UnreadableVideo, InsufficientStorage and ProbeFailed.
    """
    code, printed = _run(video, thumbnail)
    if code < 0:
        # By a signal: it took too long, or what it read made the libraries crash.
        _logger.warning("looking into a video ended by signal %s", -code)
        raise refused("it can't be decoded within the time and memory that there are")
    if code:
        raise ProbeFailed(f"probe.py ended with {code}: {printed[-1000:]!r}")
    found = json.loads(printed.splitlines()[-1])
    if "full" in found:
        raise InsufficientStorage("There is no room for a thumbnail. Try again later.")
    if reason := found.get("refused"):
        raise refused(reason)
    if not thumbnail.read_bytes().endswith(b"\xff\xd9"):
        raise InsufficientStorage("The thumbnail could not be written whole. Try again later.")
    return msgspec.convert(found, Probed)


def _run(video: Path, thumbnail: Path) -> tuple[int, bytes]:
    """Run the program; return how it ended, and what it printed."""
    command = [sys.executable, "-I", str(_PROGRAM), str(video), str(thumbnail)]
    with tempfile.TemporaryFile() as output:  # not a pipe, which has no limit
        child = subprocess.Popen(
            command,
            env={"LC_ALL": "C.UTF-8"},  # ours has secrets
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(SECONDS)
        finally:
            child.kill()
            child.wait()
        output.seek(0)
        return child.returncode, output.read()


def refused(reason: str) -> UnreadableVideo:
    return UnreadableVideo(
        f"The file wasn't kept: {reason}. Export the video again as MP4, and send that.",
        reason=reason,
    )
