"""Uploads and downloads through a real gunicorn: memory, broken connections, full disks."""

import contextlib
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from media.containers import HEAD_BYTES
from projects.models import Project
from snipix import history
from snipix.demo.client import Client, Reply
from snipix.demo.stage import Stage
from tests.media.films import film
from tests.stages import serving
from tests.together import at_once

BOUNDARY = "x" * 30
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="film.mp4"\r\n'
    "Content-Type: video/mp4\r\n\r\n"
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
MB = 2**20
BODY_TIMEOUT = 2
WORKERS, THREADS = 2, 8
SENDERS = WORKERS * THREADS


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("media")
    env = {
        "MEDIA_ROOT": str(folder / "media"),
        "BODY_TIMEOUT": str(BODY_TIMEOUT),
        "MAX_VIDEO_BYTES": str(10**18),
        "WEB_THREADS": str(THREADS),
    }
    with serving(folder, workers=WORKERS, **env) as stage:
        yield stage


@pytest.fixture
def project(stage: Stage) -> str:
    id = f"film-{uuid4()}"
    with Client(stage.web.port) as client:
        body = f'{{"id": "{id}", "name": "Film"}}'.encode()
        assert client.send("POST", "/projects/", body).status == 201
    return id


def large(size: int) -> Iterator[bytes]:
    """A film of so many bytes, hardly any of which matter, a megabyte at a time."""
    whole = film(frames=40, options=(("movflags", "faststart"),))
    left = size - len(whole)
    yield whole + left.to_bytes(4, "big") + b"free"
    left -= 8
    while left:
        chunk = bytes(min(left, MB))
        left -= len(chunk)
        yield chunk


def begin(stage: Stage, project: str, length: int, **headers: str) -> socket.socket:
    """Announce a form of so many bytes."""
    connection = socket.create_connection(("127.0.0.1", stage.web.port), timeout=60)
    lines = [
        f"POST /api/v1/projects/{project}/video/ HTTP/1.1",
        f"Host: 127.0.0.1:{stage.web.port}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return connection


def upload(stage: Stage, project: str, content: Iterable[bytes], size: int) -> tuple[int, Any]:
    """Send all, and only then listen."""
    with begin(stage, project, len(HEAD) + size + len(TAIL)) as connection:
        connection.sendall(HEAD)
        for chunk in content:
            connection.sendall(chunk)
        connection.sendall(TAIL)
        return answered(connection)


def answered(connection: socket.socket) -> tuple[int, Any]:
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(x[16:]) for x in head.split(b"\r\n") if x[:16] == b"Content-Length: "), 0
        )
        if end and len(body) >= length:
            return int(head.split()[1]), msgspec.json.decode(body)
        chunk = connection.recv(65_536)
        assert chunk, f"the connection ended after {received!r}"
        received += chunk


def read(stage: Stage, project: str) -> Reply:
    with Client(stage.web.port) as client:
        return client.send("GET", f"/projects/{project}/")


def kept(stage: Stage) -> list[Path]:
    folder = Path(stage.web.env["MEDIA_ROOT"])  # type: ignore[index]
    return [path for path in folder.rglob("*") if path.is_file()]


@contextlib.contextmanager
def nothing_kept(stage: Stage, project: str) -> Iterator[None]:
    """Within this, no file comes to stay, and the project doesn't change."""
    before, etag = sorted(kept(stage)), read(stage, project).etag
    yield
    wait_until(lambda: sorted(kept(stage)) == before)
    assert read(stage, project).etag == etag


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it didn't come to that"
        time.sleep(0.02)


def workers(stage: Stage) -> list[int]:
    assert stage.web.process
    master = stage.web.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(pid) for pid in children.split()]


@contextlib.contextmanager
def flat_memory(stage: Stage, most: int) -> Iterator[None]:
    """Within this, no worker's memory grows by more than so many bytes, even for a moment."""
    before = {}
    for pid in workers(stage):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # begin the peak anew
        before[pid] = peak(pid)
    yield
    grown = {pid: peak(pid) - before[pid] for pid in before}
    print("grown by", {pid: f"{size / MB:.1f} MB" for pid, size in grown.items()})
    assert max(grown.values()) < most
    assert sorted(before) == sorted(workers(stage)), "a worker died"


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def check_flat(stage: Stage, project: str, size: int) -> None:
    with Client(stage.web.port) as client:  # what a first upload loads stays loaded
        client.send("GET", f"/projects/{project}/")
    for _ in range(4):
        upload(stage, project, [film()], len(film()))
    with flat_memory(stage, 16 * MB):
        began = time.monotonic()
        status, body = upload(stage, project, large(size), size)
        print(f"taken in in {time.monotonic() - began:.1f} s")
        assert status == 201, body
        assert body["video"]["size"] == size
        with socket.create_connection(("127.0.0.1", stage.web.port), timeout=60) as connection:
            path = f"/api/v1/projects/{project}/video/"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            received = 0
            while received < size:
                chunk = connection.recv(MB)
                assert chunk
                received += len(chunk)


def test_200_megabytes_are_taken_in_and_sent_with_flat_memory(stage: Stage, project: str) -> None:
    check_flat(stage, project, 200 * MB)


@pytest.mark.long
def test_2_gigabytes_are_taken_in_and_sent_with_flat_memory(stage: Stage, project: str) -> None:
    check_flat(stage, project, 2048 * MB)


def test_two_uploads_at_once_are_both_answered_and_the_last_one_stays(
    stage: Stage, project: str, inside: None
) -> None:
    contents = [film(), film("webm"), film("avi"), film("mkv")]
    before = set(kept(stage))

    def send(number: int) -> tuple[int, Any]:
        return upload(stage, project, [contents[number]], len(contents[number]))

    replies = at_once(len(contents), send)
    assert [status for status, _ in replies] == [201] * len(contents)
    found = Project.objects.get(project_id=project)
    assert found.version == 1 + len(contents)
    assert history.verify(found) == found.version
    last = max(range(len(replies)), key=lambda number: replies[number][1]["version"])
    with Client(stage.web.port) as client:
        assert client.send("GET", f"/projects/{project}/video/").body == contents[last]
    states = [history.read(found, version) for version in range(2, found.version + 1)]
    named = {name for state in states for name in (state.video_path, state.thumbnail)}
    assert {path.name for path in set(kept(stage)) - before} == named
    assert len(named) == 2 * len(contents)


def test_slow_uploads_leave_threads_for_everybody_else(stage: Stage, project: str) -> None:
    length = len(HEAD) + 6 * MB + len(TAIL)
    with contextlib.ExitStack() as stack, nothing_kept(stage, project):
        slow = [stack.enter_context(begin(stage, project, length)) for _ in range(SENDERS)]
        for connection in slow:
            connection.sendall(HEAD)
        assert read(stage, project).status == 200
        codes = Counter(answered(connection)[1]["code"] for connection in slow)
    assert codes.keys() == {"request-timeout", "too-many-uploads"}
    assert upload(stage, project, [film()], len(film()))[0] == 201


@pytest.mark.parametrize("sent", [0, 10, HEAD_BYTES + 1, 3 * MB])
def test_a_client_that_goes_away_leaves_nothing(stage: Stage, project: str, sent: int) -> None:
    size = 6 * MB
    length = len(HEAD) + size + len(TAIL)
    with nothing_kept(stage, project), begin(stage, project, length) as connection:
        connection.sendall(HEAD + b"".join(large(size))[:sent])
        if sent > MB:  # less waits for more
            wait_until(lambda: any(path.suffix == ".part" for path in kept(stage)))


def test_a_client_that_stops_is_told_and_leaves_nothing(stage: Stage, project: str) -> None:
    length = len(HEAD) + MB + len(TAIL)
    with nothing_kept(stage, project), begin(stage, project, length) as connection:
        connection.sendall(HEAD + next(large(MB)))
        began = time.monotonic()
        status, problem = answered(connection)
        assert (status, problem["code"]) == (408, "request-timeout")
        assert time.monotonic() - began < BODY_TIMEOUT + 10, "without it, for ever"


def test_a_form_that_ends_too_early_leaves_nothing(stage: Stage, project: str) -> None:
    """Its last boundary comes, and then less than was announced."""
    content = film()
    length = len(HEAD) + len(content) + len(TAIL) + 100
    with nothing_kept(stage, project), begin(stage, project, length) as connection:
        connection.sendall(HEAD + content + TAIL)
        connection.shutdown(socket.SHUT_WR)
        assert answered(connection)[0] == 408


def test_what_a_killed_server_was_taking_in_goes_with_the_next_upload(
    stage: Stage, project: str
) -> None:
    with nothing_kept(stage, project):
        with begin(stage, project, len(HEAD) + 6 * MB + len(TAIL)) as connection:
            connection.sendall(HEAD + b"".join(large(6 * MB))[: 3 * MB])
            wait_until(lambda: any(path.suffix == ".part" for path in kept(stage)))
            stage.kill_web()
        assert any(path.suffix == ".part" for path in kept(stage))
        stage.start()
        assert upload(stage, project, [b"x" * 100], 100)[0] == 422


@contextlib.contextmanager
def full_disk(stage: Stage, most: int) -> Iterator[None]:
    """For the workers, no file may get larger than so many bytes: as on a disk that is full."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers(stage)}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("at", [0, 100, 3 * MB, 6 * MB - 1])
def test_a_disk_that_fills_up_meanwhile_is_a_507(stage: Stage, project: str, at: int) -> None:
    size = 6 * MB
    with nothing_kept(stage, project), full_disk(stage, at):
        status, problem = upload(stage, project, large(size), size)
        assert (status, problem["code"]) == (507, "insufficient-storage")
    assert upload(stage, project, large(size), size)[0] == 201


def test_a_form_that_no_disk_has_room_for_is_refused_before_it_comes(
    stage: Stage, project: str
) -> None:
    with nothing_kept(stage, project), begin(stage, project, 10**17) as connection:
        connection.sendall(HEAD)
        connection.shutdown(socket.SHUT_WR)
        status, problem = answered(connection)
        assert (status, problem["code"]) == (507, "insufficient-storage")


def test_who_listens_only_at_the_end_hears_why_a_large_file_is_refused(
    stage: Stage, project: str
) -> None:
    with nothing_kept(stage, project):
        for _ in range(2):
            status, problem = upload(stage, project, [bytes(MB)] * 50, 50 * MB)
            assert (status, problem["code"]) == (422, "unreadable-video")
        assert upload(stage, "unknown", [bytes(MB)] * 50, 50 * MB)[0] == 404


def test_a_form_of_nothing_is_refused(stage: Stage, project: str) -> None:
    with nothing_kept(stage, project), begin(stage, project, 0) as connection:
        status, problem = answered(connection)
        assert (status, problem["errors"][0]["path"]) == (400, "file")


def test_a_range_is_sent(stage: Stage, project: str) -> None:
    size = 6 * MB
    upload(stage, project, large(size), size)
    with Client(stage.web.port) as client:
        path = f"/projects/{project}/video/"
        reply = client.send("GET", path, range=f"bytes={size - 10}-")
        assert (reply.status, reply.body) == (206, bytes(10))
        reply = client.send("GET", path, range="bytes=0-3,-4")
        assert reply.status == 206
        assert len(reply.body) == int(reply.headers["content-length"])
        head = client.send("HEAD", path)
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(size))
        assert client.send("GET", path, if_none_match=head.etag).status == 304
        assert client.send("GET", path, range="bytes=9999999-").status == 416
