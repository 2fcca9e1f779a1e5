"""What one edit costs against saving the whole: `make bench-edits`.

On a large timeline, through the API in this process, on a database of its own. The whole is saved
in two ways: with one clip moved, of which only one piece is stored, and with all clips moved.
Prints a table; the ratios come from one run on one machine.
"""

import argparse
import statistics
import sys
from typing import Any

from bench.served import Sent, send, serving
from snipix import states
from snipix.wire import EDITS
from timelines import samples

PATH = "bench/timeline/"
WHAT = {
    "all": "save the whole, all clips moved",
    "one": "save the whole, one clip moved",
    "edit": "edit one clip",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--turns", type=int, default=21)
    chosen = parser.parse_args()
    with serving() as client:
        _report(_measured(client, chosen.clips, chosen.turns))
    return 0


def _measured(client: Any, clips: int, turns: int) -> dict[str, list[Sent]]:
    send(client, "POST", "", b'{"id": "bench", "name": "Bench"}')
    state: dict[str, Any] = states.to_builtins(samples.timeline(1, clips))
    etag = send(client, "GET", PATH).etag
    etag = send(client, "PUT", PATH, states.encode(state), etag=etag).etag
    all_clips = [clip for layer in state["layers"] for clip in layer["clips"]]
    clip = all_clips[0]
    found: dict[str, list[Sent]] = {name: [] for name in WHAT}
    for turn in range(turns):
        for name, moved in ("all", all_clips), ("one", [clip]):
            _move(moved)
            found[name].append(send(client, "PUT", PATH, states.encode(state), etag=etag))
            etag = found[name][-1].etag
        edits = [{"op": "move_clip", "clip": clip["id"], "by": -1 if turn % 2 else 1}]
        body = states.encode({"edits": edits})
        found["edit"].append(send(client, "PATCH", PATH, body, EDITS, etag))
        etag = found["edit"][-1].etag
    return found


def _move(clips: list[dict[str, Any]]) -> None:
    for clip in clips:
        clip["start_time"] += 1.0
        clip["end_time"] += 1.0


def _report(found: dict[str, list[Sent]]) -> None:
    print(f"{'':34} {'median ms':>10} {'bytes sent':>12}")
    medians = {name: statistics.median(sent.seconds for sent in found[name]) for name in found}
    sizes = {name: found[name][-1].sent for name in found}
    for name, what in WHAT.items():
        print(f"{what:34} {medians[name] * 1000:>10.1f} {sizes[name]:>12,}")
    new, same = (medians["edit"] / medians[name] for name in ("all", "one"))
    share = sizes["edit"] / sizes["one"]
    print(f"an edit takes {new:.2f} of the time of saving a whole that is new, {same:.2f} of one")
    print(f"that differs by the same clip only, and {share:.5f} of the bytes")


if __name__ == "__main__":
    sys.exit(main())
