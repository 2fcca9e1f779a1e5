"""Which commands a piece of work sends to MongoDB, and which declared index serves each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from bson.regex import Regex
from pymongo import monitoring

from snipix import indexes

READS = ("find", "aggregate", "update", "delete", "count", "distinct")
_EQUALITIES = {"$eq", "$in", "$all"}
_RANGES = {"$gt", "$gte", "$lt", "$lte", "$regex"}


class Recorder(monitoring.CommandListener):
    """Keeps the commands that are sent while it records."""

    def __init__(self) -> None:
        self.commands: list[Mapping[str, Any]] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.commands is not None and event.command_name in READS:
            self.commands.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


recorder = Recorder()
monitoring.register(recorder)


@contextmanager
def recorded() -> Iterator[list[Mapping[str, Any]]]:
    """The reading commands that are sent in the block."""
    recorder.commands = []
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
    def index(self) -> str | None:
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


def shapes(command: Mapping[str, Any]) -> Iterator[Shape]:
    """The shapes of a command. Raises AssertionError for what no query of ours may do."""
    collection = str(next(iter(command.values())))
    if "pipeline" in command:
        yield _of_pipeline(collection, command["pipeline"])
    elif "updates" in command or "deletes" in command:
        for part in (*command.get("updates", ()), *command.get("deletes", ())):
            yield _of_filter(collection, part["q"], {})
    else:
        assert "count" not in command, f"{collection} is counted"
        assert not command.get("skip"), f"{collection} is skipped through"
        yield _of_filter(collection, command.get("filter", {}), command.get("sort", {}))


def _of_pipeline(collection: str, pipeline: list[Mapping[str, Any]]) -> Shape:
    stages = [next(iter(stage)) for stage in pipeline]
    assert "$skip" not in stages, f"{collection} is skipped through"
    assert "$lookup" not in stages, f"{collection} is joined"
    match = pipeline[0]["$match"] if stages[:1] == ["$match"] else {}
    sort = next((stage["$sort"] for stage in pipeline if "$sort" in stage), {})
    if sort and stages[:2] != ["$match", "$sort"]:
        assert "_id" in match or collection in SORTED_IN_MEMORY, f"{collection}: {stages}"
    return _of_filter(collection, match, sort)


SORTED_IN_MEMORY = {"revisions"}
"""Where the ORM orders a bounded range of one document's own: at most FULL_FRAME_EVERY."""


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
        assert str(pattern).startswith("^"), f"{pattern} isn't anchored"


def _declared(collection: str) -> Iterator[list[tuple[str, int]]]:
    yield [("_id", 1)]
    for model, declared in indexes.declared():
        if model._meta.db_table == collection:
            yield from (list(index.document["key"].items()) for index in declared)
