"""Which commands a piece of work sends to MongoDB, and which declared index serves each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from bson.regex import Regex
from pymongo import monitoring

from snipix import indexes

READS = ("find", "aggregate", "update", "delete", "count", "distinct")
SORTED_IN_MEMORY = {"revisions"}
"""Where the ORM orders a bounded range of one document's own: at most FULL_FRAME_EVERY."""
_EQUALITIES = {"$eq", "$in", "$all"}
_RANGES = {"$gt", "$gte", "$lt", "$lte", "$regex"}

Command = Mapping[str, Any]


class Unbounded(Exception):
    """A query whose cost grows with what is stored, whatever indexes there are."""


class Seen(NamedTuple):
    """A command that was answered."""

    command: Command
    milliseconds: float
    returned: int
    """Documents, in the first batch."""


class Recorder(monitoring.CommandListener):
    """Keeps the commands that are sent while it records."""

    def __init__(self) -> None:
        self.commands: list[Command] | None = None
        self.seen: list[Seen] = []
        self._sent: dict[int, Command] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.commands is not None and event.command_name in READS:
            self.commands.append(event.command)
            self._sent[event.request_id] = event.command

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if (command := self._sent.pop(event.request_id, None)) is not None:
            batch = event.reply.get("cursor", {}).get("firstBatch", ())
            self.seen.append(Seen(command, event.duration_micros / 1000, len(batch)))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._sent.pop(event.request_id, None)


recorder = Recorder()
monitoring.register(recorder)  # of connections that are opened from now on


@contextmanager
def recorded() -> Iterator[list[Command]]:
    """The reading commands that are sent in the block, and then `recorder.seen` of them."""
    recorder.commands, recorder.seen = [], []
    try:
        yield recorder.commands
    finally:
        recorder.commands = None


class Shape(NamedTuple):
    """What a command asks of an index: equalities, a sort, then ranges (MongoDB's ESR rule)."""

    collection: str
    equal: frozenset[str]
    sort: tuple[tuple[str, int], ...]
    ranges: frozenset[str]

    @property
    def served_by(self) -> str | None:
        """The declared index that serves it, reading in order."""
        if "_id" in self.equal and not self.sort:
            return "_id"
        return next((str(keys) for keys in _declared(self.collection) if self._fits(keys)), None)

    def _fits(self, keys: list[tuple[str, int]]) -> bool:
        prefix = 0
        while prefix < len(keys) and keys[prefix][0] in self.equal:
            prefix += 1
        rest = keys[prefix:]
        if self.sort:
            wanted = list(self.sort)
            return rest[: len(wanted)] in (wanted, [(name, -way) for name, way in wanted])
        return prefix > 0 or bool(rest and rest[0][0] in self.ranges)


def shapes(command: Command) -> Iterator[Shape]:
    """The shapes of a command. Raises Unbounded for what no query of ours may do."""
    collection = str(next(iter(command.values())))
    if "pipeline" in command:
        yield _of_pipeline(collection, command["pipeline"])
    elif "updates" in command or "deletes" in command:
        for part in (*command.get("updates", ()), *command.get("deletes", ())):
            yield _of_filter(collection, part["q"], {})
    elif "count" in command or command.get("skip"):
        raise Unbounded(f"{collection} is counted or skipped through")
    else:
        yield _of_filter(collection, command.get("filter", {}), command.get("sort", {}))


def _of_pipeline(collection: str, pipeline: list[Command]) -> Shape:
    stages = [next(iter(stage)) for stage in pipeline]
    if {"$skip", "$lookup"} & set(stages):
        raise Unbounded(f"{collection} is skipped through or joined")
    match = pipeline[0]["$match"] if stages[:1] == ["$match"] else {}
    sort: Mapping[str, int] = next((stage["$sort"] for stage in pipeline if "$sort" in stage), {})
    is_in_order = not sort or stages[:2] == ["$match", "$sort"]
    if not is_in_order and "_id" not in match and collection not in SORTED_IN_MEMORY:
        raise Unbounded(f"{collection} is sorted in memory: {stages}")
    return _of_filter(collection, match, sort)


def _of_filter(collection: str, match: Mapping[str, Any], sort: Mapping[str, int]) -> Shape:
    equal: set[str] = set()
    ranges: set[str] = set()
    for name, condition in _conditions(match):
        if isinstance(condition, Mapping) and any(key.startswith("$") for key in condition):
            _check_regexes(condition)
            if _RANGES & set(condition):
                ranges.add(name)
            elif _EQUALITIES & set(condition):
                equal.add(name)
        else:
            equal.add(name)
    return Shape(collection, frozenset(equal), tuple(sort.items()), frozenset(ranges - equal))


def _conditions(match: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, condition in match.items():
        if name == "$and":
            for part in condition:
                yield from _conditions(part)
        elif name != "$or":  # implied by a range beside it
            yield name, condition


def _check_regexes(condition: Mapping[str, Any]) -> None:
    patterns = [condition.get("$regex", "^")]
    patterns += [item.pattern for item in condition.get("$all", ()) if isinstance(item, Regex)]
    for pattern in patterns:
        if not str(pattern).startswith("^"):
            raise Unbounded(f"{pattern} isn't anchored")


def _declared(collection: str) -> Iterator[list[tuple[str, int]]]:
    yield [("_id", 1)]
    for model, declared in indexes.declared():
        if model._meta.db_table == collection:
            yield from (list(index.document["key"].items()) for index in declared)
