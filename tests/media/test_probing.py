"""Looking into files that strangers sent: whatever they are, Snipix lives on."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from media import probe, probing
from media.facts import UnreadableVideo
from tests.media.films import film

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(film())
    return path


def look(video: Path) -> probing.Probed:
    return probing.probe(video, video.with_suffix(".jpg"))


def put_in_place(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Let another program look into files, in the same way."""
    path = folder / "program.py"
    path.write_text(program)
    monkeypatch.setattr(probing, "_PROGRAM", path)


def test_a_crash_is_a_refusal(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, tmp_path, "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(UnreadableVideo):
        look(video)


def test_what_takes_too_long_is_ended(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            children.append(self)

    put_in_place(monkeypatch, tmp_path, "import time; time.sleep(60)")
    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(probing, "SECONDS", 0.5)
    with pytest.raises(UnreadableVideo):
        look(video)
    assert [child.returncode for child in children] == [-signal.SIGKILL], "it never ends by itself"


def test_a_mistake_of_ours_is_none_of_the_files(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, tmp_path, "import nothing_of_this_name")
    with pytest.raises(probing.ProbeFailed, match="nothing_of_this_name"):
        look(video)


def test_the_program_is_told_no_secrets(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import json, os; print(json.dumps({'refused': ' '.join(os.environ)}))"
    put_in_place(monkeypatch, tmp_path, program)
    with pytest.raises(UnreadableVideo) as caught:
        look(video)
    assert set(caught.value.members["reason"].split()) <= {"LC_ALL", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("work", "ends"),
    [
        ("bytearray(3 * 2**30)", "MemoryError"),
        ("open('large', 'wb').write(bytes(5 * 2**20))", "File too large"),
    ],
)
def test_the_program_has_limits(tmp_path: Path, work: str, ends: str) -> None:
    program = f"from media.probe import limit_self; limit_self(); {work}"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ends in ended.stderr


def test_the_program_limits_its_time() -> None:
    program = (
        "import resource; from media.probe import limit_self; limit_self();"
        "print(resource.getrlimit(resource.RLIMIT_CPU))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert ended.stdout.decode().strip() == str((probe.CPU_SECONDS, probe.CPU_SECONDS))


@pytest.mark.parametrize("kind", ["mp4", "mov", "avi", "mkv", "webm"])
def test_damaged_files_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    """Bytes anywhere but in the outermost structure are changed at random."""
    chance = random.Random(kind)
    for number in range(4):
        content = bytearray(film(kind, frames=30, sound=kind != "webm"))
        for _ in range(2 ** (2 * number)):
            content[chance.randrange(64, len(content))] = chance.randrange(256)
        path = tmp_path / str(number)
        path.write_bytes(content)
        try:
            found: Any = look(path)
        except UnreadableVideo:
            continue
        assert 0 < found.duration < 10**6


def test_it_prints_one_line_of_json(video: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(probing._PROGRAM), str(video), str(tmp_path / "a.jpg")]
    ended = subprocess.run(command, capture_output=True, env={})
    assert (ended.stderr, ended.stdout.count(b"\n")) == (b"", 1)
    assert json.loads(ended.stdout)["container"] == "mp4"
