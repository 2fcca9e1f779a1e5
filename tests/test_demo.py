"""What is made up to look at, and the demonstration."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from projects.models import Project
from snipix import history, states
from snipix.local import processes
from timelines import samples, state
from timelines.models import Timeline
from timelines.state import Clip, TimelineState

# --- Samples


@pytest.mark.parametrize("clips", [0, 1, 7, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_sample_has_its_clips_and_nothing_odd(seed: int, clips: int) -> None:
    sample = samples.timeline(seed, clips)
    assert state.summarise(sample)["clips"] == clips
    assert state.warnings(state.check(sample)) == []
    assert (
        states.decode(states.encode(sample), TimelineState)
        == sample
        == samples.timeline(seed, clips)
    )


def test_samples_lie_on_frames_and_have_something_of_everything() -> None:
    sample = samples.timeline(1)
    rate = Fraction(sample.fps_num, sample.fps_den)
    clips = [clip for layer in sample.layers for clip in layer.clips]
    times = [sample.playhead_time, *(marker.time for marker in sample.markers)]
    times += [t for clip in clips for t in (clip.start_time, clip.end_time, clip.duration)]
    times += [keyframe.time for clip in clips for keyframe in clip.keyframes]
    assert all(abs(time * rate - round(time * rate)) < 1e-6 for time in times)
    assert {layer.type for layer in sample.layers} == {"video", "audio", "text", "overlay"}
    assert all(clip.properties and clip.content for clip in clips)
    assert sample.markers


def test_one_clip_moves_at_a_time_and_nothing_gets_odd() -> None:
    random, sample = Random(1), samples.timeline(1)

    def by_id(of: TimelineState) -> dict[str, Clip]:
        return {clip.id: clip for layer in of.layers for clip in layer.clips}

    for _ in range(50):
        moved = samples.move_clip(sample, random)
        before, after = by_id(sample), by_id(moved)
        changed = [id for id, clip in before.items() if after[id] != clip]
        assert len(changed) == 1
        assert after[changed[0]].duration == before[changed[0]].duration
        sample = moved
    assert state.warnings(state.check(sample)) == []


# --- The demo project


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SNIPIX_DEMO_ADMIN_PASSWORD", "a-password-for-tests")
    return "a-password-for-tests"


def load_demo(*options: str) -> str:
    out = StringIO()
    call_command("load_demo", *options, stdout=out)
    return out.getvalue()


def test_the_demo_is_a_project_with_a_history(db: None, password: str) -> None:
    said = load_demo()
    project = Project.objects.get(project_id="demo")
    timeline = Timeline.of(project)
    assert (project.version, timeline.version, project.user_id) == (1, 1, "anonymous")
    assert project.timeline_state["clips"] == 200
    assert history.verify(project) == history.verify(timeline) == 1
    admin = User.objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password(password)
    assert password not in said


def test_loading_the_demo_again_changes_nothing(
    db: None, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_demo()
    Project.objects.get(project_id="demo").delete()
    monkeypatch.setenv("SNIPIX_DEMO_ADMIN_PASSWORD", "another-password")
    assert load_demo() == ""
    assert Project.everything.get().is_deleted
    assert User.objects.get().check_password(password)


def test_without_a_password_there_is_no_administrator(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNIPIX_DEMO_ADMIN_PASSWORD", raising=False)
    assert "SNIPIX_DEMO_ADMIN_PASSWORD" in load_demo()
    assert not User.objects.exists()
    assert Project.objects.exists()


def test_with_accounts_the_demo_is_the_administrators(db: None, password: str, settings) -> None:
    settings.SNIPIX_AUTH = "accounts"
    load_demo()
    assert Project.objects.get().user_id == str(User.objects.get().pk)


def test_programs_are_told_what_was_made(db: None, password: str) -> None:
    made, was_there = (json.loads(load_demo("--json")) for _ in range(2))
    assert made == {"dry_run": False, "administrator": "made", "project": "made"}
    assert was_there == {"dry_run": False, "administrator": "was there", "project": "was there"}


def test_a_dry_run_makes_no_demo(db: None, password: str) -> None:
    told = {"dry_run": True, "administrator": "made", "project": "made"}
    assert json.loads(load_demo("--dry-run", "--json")) == told
    assert load_demo("--dry-run").startswith("Would make")
    assert not Project.everything.exists()
    assert not User.objects.exists()
    load_demo()
    assert load_demo("--dry-run") == ""


# --- The demonstration


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "manage.py", "demo", "--clips=20", "--moves=6", "--kills=1"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=processes.ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def left_behind(tmp_path: Path) -> list[object]:
    folders = list(tmp_path.glob("snipix-demo-*"))
    return [*folders, *(p for folder in folders for p in processes.started_for(folder))]


def test_the_demonstration_shows_that_nothing_is_lost(
    demonstration: subprocess.Popen, tmp_path: Path
) -> None:
    said, _ = demonstration.communicate(timeout=120)
    assert demonstration.returncode == 0, said
    assert re.search(r"saves acknowledged +7\n", said)
    assert re.search(r"versions in the history +7 +1 … 7, no gap", said)
    assert "SIGKILL for the database and the web server" in said
    assert "lost 0, doubled 0" in said
    assert left_behind(tmp_path) == []


def test_the_demonstration_cleans_up_when_interrupted(
    demonstration: subprocess.Popen, tmp_path: Path
) -> None:
    for line in demonstration.stdout:
        if "SIGKILL" in line:
            break
    (folder,) = tmp_path.glob("snipix-demo-*")
    demonstration.send_signal(signal.SIGINT)
    demonstration.communicate(timeout=60)
    assert demonstration.returncode == 130
    assert processes.started_for(folder) == []
    assert left_behind(tmp_path) == []
