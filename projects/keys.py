"""How projects are found: every list and search is an equality on one array of keys.

MongoDB can't index two arrays together, and a query has to be held to what its sender may see. So a
project's keys begin with who may see it: `alice` for every list of hers, `alice s:active`,
`alice t:travel`, `alice w:lisbon` for narrower ones. Words are indexed whole, for search, and by
their first one to three letters, for search as you type.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from bson.regex import Regex

MAX_WORDS = 40
"""Distinct words by which search finds a project: of its name, its tags, then its description."""
MAX_WORD = 40
PREFIXES = (1, 2, 3)

_word = re.compile(r"\w+")


def normalised(text: str) -> str:
    """Case, accents and compatibility forms ignored (Unicode Standard Annex #15, NFKD)."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(*texts: str) -> list[str]:
    """The distinct words of texts, in their order, normalised and cut to MAX_WORD letters."""
    found = (match[:MAX_WORD] for text in texts for match in _word.findall(normalised(text)))
    return list(dict.fromkeys(found))


def keys(readers: Iterable[str], owner: str, state: Any) -> list[str]:
    """All keys of a project: what each of its readers finds it by."""
    common = list(_facets(state))
    return [key for reader in readers for key in _of_reader(reader, owner, common)]


def facet(reader: str, kind: str, value: str) -> str:
    """One key: `s` status, `t` tag, `v` has a video, `x` is shared, `w` word, `p` beginning."""
    return f"{reader} {kind}:{value}"


def searched(reader: str, query: str) -> list[Any]:
    """What the keys of a found project hold: every word, the last one by its beginning.

    Beginnings longer than those that are indexed are met by the longest indexed one, and then by
    a regular expression, anchored, over what that finds.
    """
    wanted = words(query)[:MAX_WORDS]
    if not wanted:
        return []
    *whole, last = wanted
    found: list[Any] = [facet(reader, "w", word) for word in whole]
    found.append(facet(reader, "p", last[: PREFIXES[-1]]))
    if len(last) > PREFIXES[-1]:
        found.append(Regex(f"^{re.escape(facet(reader, 'w', last))}"))
    return found


def _of_reader(reader: str, owner: str, common: list[tuple[str, str]]) -> Iterator[str]:
    yield reader
    if reader != owner:
        yield facet(reader, "x", "1")
    for kind, value in common:
        yield facet(reader, kind, value)


def _facets(state: Any) -> Iterator[tuple[str, str]]:
    yield "s", state.status
    yield "v", "1" if state.video_path else "0"
    yield from (("t", tag) for tag in dict.fromkeys(map(normalised, state.tags)))
    found = words(state.name, *state.tags, state.description)[:MAX_WORDS]
    yield from (("w", word) for word in found)
    beginnings = (word[:length] for word in found for length in PREFIXES)
    yield from (("p", beginning) for beginning in dict.fromkeys(beginnings))
