"""The servers of `make run`, as real processes: what they survive, and what they leave behind."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from snipix import local
from snipix.demo.client import Client
from snipix.local import folder, ports, processes
from tests.media.conftest import MULTIPART_CONTENT, files, form
from tests.media.films import film

CONFIGURED = ("MONGODB_URI", "MONGODB_DATABASE", "REDIS_URL", "SECRET_KEY", "MEDIA_ROOT")

# Starts a MongoDB, from the main thread or another, saves a document, and waits to be killed.
PARENT = """
import pathlib, sys, threading
from pymongo import MongoClient
from snipix import local

mongo = local.Mongo(pathlib.Path(sys.argv[1]))
if sys.argv[2] == "main":
    mongo.start()
else:
    thread = threading.Thread(target=mongo.start)
    thread.start()
    thread.join()
MongoClient(mongo.uri).test.clips.insert_one({"_id": "c1"})
print(mongo.process.pid, flush=True)
threading.Event().wait()
"""


def read(mongo: local.Mongo) -> list[str]:
    with MongoClient(mongo.uri) as client:
        return [document["_id"] for document in client.test.clips.find().sort("_id")]


def write(mongo: local.Mongo, name: str) -> None:
    with (
        MongoClient(mongo.uri) as client,
        client.start_session() as session,
        session.start_transaction(),
    ):
        client.test.clips.insert_one({"_id": name}, session=session)


@contextlib.contextmanager
def parent(data: Path, thread: str) -> Iterator[tuple[subprocess.Popen[str], processes.Process]]:
    """A process that has started a MongoDB for `data`, and that MongoDB."""
    command = [sys.executable, "-c", PARENT, str(data), thread]
    with subprocess.Popen(command, cwd=processes.ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            server = processes.Process.find(int(child.stdout.readline()))
            assert server
            yield child, server
        finally:
            child.kill()
    processes.stop_orphans(data)


def runlocal(data: Path, port: int) -> subprocess.Popen[str]:
    """Start `manage.py runlocal` with nothing configured."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "runlocal", f"--port={port}", f"--data={data}", "--no-demo"],
        cwd=processes.ROOT,
        env={name: value for name, value in os.environ.items() if name not in CONFIGURED},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def running(data: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`manage.py runlocal`, ready for requests."""
    with runlocal(data, port) as child:
        try:
            assert processes.wait_until(lambda: serves(child, data, port), seconds=90), end(child)
            yield child
        finally:
            end(child)
    processes.stop_orphans(data)


def until_announced(child: subprocess.Popen[str]) -> str:
    """Wait until it says that all of it runs; return what it printed up to then."""
    printed = ""
    while "Snipix runs at" not in printed:
        line = child.stdout.readline()
        assert line, printed
        printed += line
    return printed


def end(child: subprocess.Popen[str]) -> str:
    """Ask it to stop; return all that it printed."""
    child.terminate()
    return child.communicate(timeout=60)[0]


def serves(child: subprocess.Popen[str], data: Path, port: int) -> bool:
    """Tell whether a web server that `child` itself started is ready."""
    marks = [process.mark(data) or "" for process in processes.started_for(data)]
    return any(mark.startswith(f"{child.pid}-") for mark in marks) and is_ready(port)


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def pids(data: Path, program: str) -> list[int]:
    """What runs now for this folder under this name; the oldest first."""
    found = [process.pid for process in processes.started_for(data)]
    return sorted(p for p in found if program in Path(f"/proc/{p}/cmdline").read_text())


def test_a_document_survives_stop_and_kill_of_the_database(tmp_path):
    with local.Mongo(tmp_path) as mongo:
        uri = mongo.uri
        write(mongo, "c1")
        mongo.kill()
        mongo.start()
        write(mongo, "c2")
        mongo.stop()
        mongo.start()
        assert read(mongo) == ["c1", "c2"]
        assert mongo.uri == uri


def test_a_document_survives_a_kill_while_others_are_being_written(tmp_path):
    acknowledged: list[str] = []

    def save() -> None:
        with MongoClient(mongo.uri) as client, contextlib.suppress(Exception):
            for number in range(100_000):
                client.test.clips.insert_one({"_id": f"c{number}"})
                acknowledged.append(f"c{number}")

    with local.Mongo(tmp_path) as mongo:
        saver = threading.Thread(target=save)
        saver.start()
        assert processes.wait_until(lambda: len(acknowledged) > 50, seconds=60)
        mongo.kill()
        saver.join()
        mongo.start()
        assert set(acknowledged) <= set(read(mongo))


def test_a_server_listens_on_the_loopback_address_only(tmp_path):
    with local.Redis(tmp_path) as redis, local.Mongo(tmp_path) as mongo:
        for server in (redis, mongo):
            listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
            places = [line.split()[1] for line in listening.splitlines() if " 0A " in line]
            place = f"0100007F:{server.port:04X}"
            assert [p for p in places if p.endswith(place[-5:])] == [place]


def test_redis_answers_and_leaves_no_file(tmp_path):
    with local.Redis(tmp_path) as redis:
        assert redis.answers()
    assert list((tmp_path / "redis").iterdir()) == []


def test_a_server_that_does_not_start_says_why(tmp_path):
    with local.Mongo(tmp_path), pytest.raises(local.LocalError, match="resource busy"):
        local.Mongo(tmp_path).start()


def test_a_taken_port_is_named(tmp_path):
    with (
        local.Redis(tmp_path) as redis,
        pytest.raises(local.LocalError, match=f"Port {redis.port}"),
    ):
        local.Redis(tmp_path, port=redis.port).start()


def test_the_servers_end_when_their_parent_is_killed(tmp_path):
    with parent(tmp_path, "main") as (child, server):
        child.kill()
        assert processes.wait_until(lambda: not server.is_alive(), seconds=60)
    with local.Mongo(tmp_path) as mongo:
        assert read(mongo) == ["c1"]


def test_a_server_that_outlived_its_killed_parent_is_stopped(tmp_path):
    with parent(tmp_path, "thread") as (child, server):
        child.kill()
        child.wait()
        assert server.is_alive()
        assert processes.stop_orphans(tmp_path) == 1
        assert not server.is_alive()
    with local.Mongo(tmp_path) as mongo:
        assert read(mongo) == ["c1"]


def test_a_server_that_ignores_being_asked_is_killed(tmp_path):
    with parent(tmp_path, "thread") as (child, server):
        os.kill(server.pid, signal.SIGSTOP)
        child.kill()
        child.wait()
        assert processes.stop_orphans(tmp_path, seconds=0.2) == 1
        assert not server.is_alive()


def test_only_orphans_of_the_same_folder_are_stopped(tmp_path):
    other = tmp_path / "other"
    with local.Redis(tmp_path) as ours, parent(other, "thread") as (child, server):
        child.kill()
        child.wait()
        assert processes.stop_orphans(tmp_path) == 0
        assert ours.is_running()
        assert server.is_alive()


def test_a_locked_folder_names_where_snipix_runs(tmp_path):
    with (
        folder.locked(tmp_path, "http://first"),
        pytest.raises(local.LocalError, match="http://first"),
        folder.locked(tmp_path, "http://second"),
    ):
        pass
    with folder.locked(tmp_path, "http://third"):
        assert (tmp_path / "lock").read_text() == "http://third"


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(local.LocalError, match="can't be used: Not a directory"),
        folder.locked(tmp_path / "file" / "data", "http://first"),
    ):
        pass


def test_a_secret_is_made_once_and_private(tmp_path):
    secret = folder.secret(tmp_path, "secret_key", length=64)
    assert len(secret) == 64
    assert folder.secret(tmp_path, "secret_key", length=64) == secret
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_crash_while_a_secret_is_made_leaves_none(tmp_path):
    (tmp_path / "secret_key.new").write_text("half")
    assert len(folder.secret(tmp_path, "secret_key", length=64)) == 64


def test_a_folder_stays_with_the_server_that_wrote_it(tmp_path, monkeypatch):
    mongod = tmp_path / "bin" / "mongod"
    mongod.parent.mkdir()
    mongod.write_text("#!/bin/sh\n")
    mongod.chmod(0o755)
    (tmp_path / "old" / "mongodb").mkdir(parents=True)
    (tmp_path / "new" / "mongod").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(mongod.parent), prepend=os.pathsep)
        assert local.Mongo(tmp_path / "empty").program == mongod
        assert local.Mongo(tmp_path / "old").is_secantus
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(local.LocalError, match="needs mongod"):
        local.Mongo(tmp_path / "new")


def test_a_taken_web_port_is_said_plainly_and_starts_nothing(tmp_path):
    with socket.create_server((ports.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        child = runlocal(tmp_path, port)
        printed = child.communicate(timeout=60)[0]
    assert child.returncode == 1
    assert f"Port {port} is taken" in printed
    assert f"SNIPIX_PORT={port + 1} make run" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "mongodb").exists()


def test_a_second_run_is_told_where_the_first_is_and_ctrl_c_stops_all(tmp_path):
    port = ports.unused()
    with running(tmp_path, port) as first:
        second = runlocal(tmp_path, ports.unused())
        assert f"http://127.0.0.1:{port}" in second.communicate(timeout=60)[0]
        assert second.returncode == 1
        assert is_ready(port)
        first.send_signal(signal.SIGINT)
        printed = first.communicate(timeout=60)[0]
    assert first.returncode == 0
    assert "Traceback" not in printed
    stopping = [line for line in printed.splitlines() if line.startswith("Stopping")]
    assert stopping == ["Stopping Snipix …", "Stopping Redis …", "Stopping MongoDB …"]
    assert processes.started_for(tmp_path) == []


def test_videos_lie_beside_the_data_that_name_them(tmp_path):
    port = ports.unused()
    with running(tmp_path, port), Client(port) as client:
        assert client.send("POST", "/projects/", b'{"id": "film", "name": "Film"}').status == 201
        sent = {"body": form(film()), "content_type": MULTIPART_CONTENT}
        assert client.send("POST", "/projects/film/video/", **sent).status == 201
    assert len(files(tmp_path / "media" / "projects")) == 2


def test_it_serves_again_after_it_alone_and_after_everything_was_killed(tmp_path):
    port = ports.unused()
    with running(tmp_path, port) as first:
        for program in ("secantusd", "redis", "gunicorn"):
            assert pids(tmp_path, program)
        first.kill()
        first.wait()
        with running(tmp_path, port) as second:
            for pid in (second.pid, *pids(tmp_path, "")):
                os.kill(pid, signal.SIGKILL)
            second.wait()
            with running(tmp_path, port) as third:
                third.terminate()
                printed = third.communicate(timeout=60)[0]
    assert "first run" not in printed
    assert third.returncode == 0
    assert processes.started_for(tmp_path) == []


@pytest.mark.parametrize(("program", "name"), [("secantusd", "MongoDB"), ("gunicorn", "Snipix")])
def test_when_a_child_dies_it_is_named_and_the_others_stop(tmp_path, program, name):
    with running(tmp_path, ports.unused()) as child:
        printed = until_announced(child)
        # The oldest: gunicorn's workers have its name.
        os.kill(pids(tmp_path, program)[0], signal.SIGKILL)
        printed += child.communicate(timeout=60)[0]
    assert child.returncode == 1
    assert f"{name} has ended by itself" in printed
    assert "Traceback" not in printed
    assert processes.started_for(tmp_path) == []
