"""What one edit costs against saving the whole: `make bench-edits`.

On a large timeline, through the API in this process, on a database of its own. The whole is saved
in two ways: with one clip moved, of which only one piece is stored, and with all clips moved.
Prints a table; the ratios come from one run on one machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
os.environ.setdefault("SECRET_KEY", "only-for-benchmarks")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from django.test import Client  # noqa: E402

from snipix import indexes, local, states  # noqa: E402
from snipix.demo.stage import pointed_at  # noqa: E402
from snipix.wire import EDITS, JSON  # noqa: E402
from timelines import samples  # noqa: E402

PATH = "/api/v1/projects/bench/timeline/"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--turns", type=int, default=21)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        local.Mongo(Path(folder)) as mongo,
        pointed_at(mongo.uri, "bench"),
    ):
        list(indexes.ensure())
        _report(*_measured(chosen.clips, chosen.turns))
    return 0


def _measured(clips: int, turns: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    client = Client()
    client.post("/api/v1/projects/", {"id": "bench", "name": "Bench"}, JSON, **_host())
    state: dict[str, Any] = states.to_builtins(samples.timeline(1, clips))
    etag = _save(client, state, client.get(PATH, **_host())["ETag"])[1]
    all_clips = [clip for layer in state["layers"] for clip in layer["clips"]]
    clip = all_clips[0]
    times: dict[str, list[float]] = {"all": [], "one": [], "edit": []}
    sizes: dict[str, int] = {}
    for turn in range(turns):
        for name, moved in ("all", all_clips), ("one", [clip]):
            _move(moved)
            seconds, etag, sizes[name] = _save(client, state, etag)
            times[name].append(seconds)
        seconds, etag, sizes["edit"] = _edit(client, clip["id"], -1 if turn % 2 else 1, etag)
        times["edit"].append(seconds)
    return times, sizes


def _move(clips: list[dict[str, Any]]) -> None:
    for clip in clips:
        clip["start_time"] += 1.0
        clip["end_time"] += 1.0


def _save(client: Client, state: Any, etag: str) -> tuple[float, str, int]:
    return _sent(client, "PUT", states.encode(state), JSON, etag)


def _edit(client: Client, clip: str, by: int, etag: str) -> tuple[float, str, int]:
    body = states.encode({"edits": [{"op": "move_clip", "clip": clip, "by": by}]})
    return _sent(client, "PATCH", body, EDITS, etag)


def _sent(client: Client, method: str, body: bytes, kind: str, etag: str) -> Any:
    began = time.perf_counter()
    response = client.generic(method, PATH, body, kind, headers={"If-Match": etag, **HOST})
    seconds = time.perf_counter() - began
    if response.status_code != 200:
        sys.exit(f"{method} was answered {response.status_code}: {response.content[:300]!r}")
    return seconds, response.json()["etag"], len(body)


HOST = {"Host": "127.0.0.1"}
WHAT = {
    "all": "save the whole, all clips moved",
    "one": "save the whole, one clip moved",
    "edit": "edit one clip",
}


def _host() -> Any:
    return {"headers": HOST}


def _report(times: dict[str, list[float]], sizes: dict[str, int]) -> None:
    print(f"{'':34} {'median ms':>10} {'bytes sent':>12}")
    medians = {name: statistics.median(times[name]) for name in times}
    for name, what in WHAT.items():
        print(f"{what:34} {medians[name] * 1000:>10.1f} {sizes[name]:>12,}")
    new, same = (medians["edit"] / medians[name] for name in ("all", "one"))
    share = sizes["edit"] / sizes["one"]
    print(f"an edit takes {new:.2f} of the time of saving a whole that is new, {same:.2f} of one")
    print(f"that differs by the same clip only, and {share:.5f} of the bytes")


if __name__ == "__main__":
    sys.exit(main())
