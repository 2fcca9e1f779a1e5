"""Texts as they are spoken: what a word is, and when two are the same.

A piece is what stands between spaces, as `don't,` does. Chinese and Japanese are written without
spaces: there, every character is a piece.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from projects.keys import normalised

MAX_PIECE = 200
"""A longer piece is cut: a word's text holds no more."""

# Han, kana and their punctuation, without the ideographic space.
_UNSPACED = "\u2e80-\u2fff\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED += "\uff01-\uff0f\uff1a-\uff20\U00020000-\U0003ffff"
# What belongs to the character before it: voicing marks and variation selectors.
_MARKS = "\u3099\u309a\ufe00-\ufe0f"

_piece = re.compile(f"[{_UNSPACED}][{_MARKS}]*|[^\\s{_UNSPACED}]{{1,{MAX_PIECE}}}")
_is_unspaced = re.compile(f"[{_UNSPACED}{_MARKS}]").match
_apostrophes = re.compile("['\u2019\u02bc]")
_letters = re.compile(r"\w+")


class Piece(NamedTuple):
    """A piece of a text, and where in it it begins."""

    text: str
    at: int


def pieces(text: str) -> list[Piece]:
    return [Piece(match[0], match.start()) for match in _piece.finditer(text)]


def parts(text: str) -> list[str]:
    """What is heard of a text: case, accents and punctuation ignored, `don't` is one part."""
    plain = text.lower() if text.isascii() else normalised(text)
    return _letters.findall(_apostrophes.sub("", plain))


def heard(piece: str) -> str:
    """A piece by what is heard of it; punctuation alone stands for itself."""
    return "".join(parts(piece)) or piece


def joined(texts: Iterable[str]) -> str:
    """Put texts one after another, with a space between them where their writing has spaces."""
    whole: list[str] = []
    for text in filter(None, (text.strip() for text in texts)):
        if whole and not (_is_unspaced(whole[-1][-1]) and _is_unspaced(text)):
            whole.append(" ")
        whole.append(text)
    return "".join(whole)
