"""Which bytes of a file a request is about (RFC 9110, section 14)."""

import re
from collections.abc import Iterable
from itertools import pairwise

from media.facts import RangeNotSatisfiable

MAX_RANGES = 16
"""Whoever asks for more is sent the whole: many small ranges are a way to do harm (14.2)."""
_HEADER = re.compile(r"\s*bytes\s*=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)
_MOST_DIGITS = 18


def wanted(header: str, length: int) -> list[range] | None:
    """The ranges that a `Range` header asks for of a file of `length` bytes.

    None for the whole file: the header isn't there, isn't valid, or of a unit that isn't known; all
    of these are ignored. Overlapping ranges become one. Raises RangeNotSatisfiable.
    """
    found = _HEADER.fullmatch(header)
    specs = [spec.strip(" \t") for spec in found[1].split(",")] if found else []
    specs = [spec for spec in specs if spec]  # a list may have empty elements (5.6.1)
    if not specs or len(specs) > MAX_RANGES:
        return None
    try:
        ranges = [_read(spec, length) for spec in specs]
    except ValueError:
        return None
    satisfiable = [each for each in ranges if each]
    if not satisfiable:
        raise RangeNotSatisfiable(length)
    return satisfiable if _are_apart(satisfiable) else _merged(satisfiable)


def _read(spec: str, length: int) -> range:
    """One range, empty if it lies beyond the file. Raises ValueError for what isn't one."""
    found = _SPEC.fullmatch(spec)
    if found is None or spec == "-":
        raise ValueError(spec)
    first, last = map(_number, found.groups())
    if first is None:
        return range(max(0, length - (last or 0)), length)
    if last is not None and last < first:
        raise ValueError(spec)
    return range(first, length if last is None else min(last + 1, length))


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _are_apart(ranges: Iterable[range]) -> bool:
    in_order = sorted(ranges, key=lambda each: each.start)
    return all(a.stop <= b.start for a, b in pairwise(in_order))


def _merged(ranges: Iterable[range]) -> list[range]:
    """The same bytes, each once, in their order (15.3.7.2)."""
    merged: list[range] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if merged and each.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(merged[-1].stop, each.stop))
        else:
            merged.append(each)
    return merged
