"""What three hours of speech cost: `make bench-words`.

A transcription of 30,000 words, through the API in this process, on a database of its own: saved,
edited by a word, added to, read whole and in a window. Prints a table; the ratios come from one run
on one machine.
"""

import argparse
import statistics
import sys
from typing import Any

from bench.served import Sent, send, serving
from snipix import states
from snipix.demo.story import document_sizes
from transcriptions import samples

PATH = "bench/transcription/"
WHAT = {
    "all": "save the whole, all words moved",
    "one": "save the whole, one word changed",
    "edit": "edit one word",
    "append": "add ten segments",
    "read": "read the whole",
    "window": "read a minute",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--turns", type=int, default=11)
    chosen = parser.parse_args()
    with serving() as client:
        _report(_measured(client, chosen.words, chosen.turns), document_sizes("revisions"))
    return 0


def _measured(client: Any, words: int, turns: int) -> dict[str, list[Sent]]:
    send(client, "POST", "", b'{"id": "bench", "name": "Bench"}')
    state: dict[str, Any] = states.to_builtins(samples.transcription(1, words))
    send(client, "POST", PATH, states.encode(state))
    found: dict[str, list[Sent]] = {name: [] for name in WHAT}
    middle = len(state["segments"]) // 2
    id, text = (state["segments"][middle][name] for name in ("id", "text"))
    end = state["segments"][-1]["end_time"]
    for turn in range(turns):
        _move(state)
        found["all"].append(_saved(client, state))
        state["segments"][middle]["words"][0]["text"] = f"word{turn}"
        found["one"].append(_saved(client, state))
        body = states.encode({"edited_text": f"{text} edited{turn}"})
        etag = send(client, "GET", f"{PATH}segments/{id}/").etag
        found["edit"].append(send(client, "PATCH", f"{PATH}segments/{id}/", body, etag=etag))
        later = samples.transcription(turn, 100).segments[:10]
        added = [
            {
                "id": f"{turn}-{number}",
                "start_time": end + 1_000 + turn * 100 + number,
                "end_time": end + 1_001 + turn * 100 + number,
                "text": segment.text,
            }
            for number, segment in enumerate(later)
        ]
        body = states.encode({"segments": added})
        found["append"].append(send(client, "POST", f"{PATH}segments/", body))
        found["read"].append(send(client, "GET", PATH))
        start = end / 2
        found["window"].append(send(client, "GET", f"{PATH}?start={start}&end={start + 60}"))
    return found


def _saved(client: Any, state: dict[str, Any]) -> Sent:
    etag = send(client, "GET", f"{PATH}?start=1&end=1").etag
    return send(client, "PUT", PATH, states.encode(state), etag=etag)


def _move(state: dict[str, Any]) -> None:
    for segment in state["segments"]:
        for part, names in (
            (segment, ("start_time", "end_time")),
            *((word, ("start", "end")) for word in segment["words"]),
        ):
            for name in names:
                part[name] = round(part[name] + 1, 3)


def _report(found: dict[str, list[Sent]], revisions: list[int]) -> None:
    print(f"{'':34} {'median ms':>10} {'bytes sent':>12} {'received':>12}")
    medians = {name: statistics.median(sent.seconds for sent in found[name]) for name in found}
    for name, what in WHAT.items():
        sent = found[name][-1]
        print(f"{what:34} {medians[name] * 1000:>10.1f} {sent.sent:>12,} {sent.received:>12,}")
    print(f"editing a word takes {medians['edit'] / medians['all']:.2f} of the time of saving a")
    print(f"whole that is new, and {medians['edit'] / medians['one']:.2f} of one that differs by")
    print(f"a word; the smallest revision has {min(revisions):,} bytes, half have at most")
    print(f"{statistics.median(revisions):,.0f}")


if __name__ == "__main__":
    sys.exit(main())
