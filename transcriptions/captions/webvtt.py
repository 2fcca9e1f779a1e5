"""WebVTT, read as section 6 of https://www.w3.org/TR/webvtt1/ says, written as section 4 does.

The parser is ours: of the libraries none finds the standard's cues in all files of the web platform
tests, and none tells the line of a cue, or what was left out. For the standard's parser refuses
nothing after the signature, but leaves out silently what it doesn't understand; here that becomes
warnings. Styles, regions and positions aren't kept.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from transcriptions.captions.clock import milliseconds, written
from transcriptions.captions.cues import MAX_MS, Cue, Found
from transcriptions.captions.errors import UnreadableCaptions, quoted
from transcriptions.captions.oddities import Oddities

# --- Reading: files


_TIME = r"(?:([0-9]+):)?([0-5][0-9]):([0-5][0-9])\.([0-9]{3})(?![0-9])"
_TIMES = re.compile(rf"[ \t\f]*{_TIME}[ \t\f]*-->[ \t\f]*{_TIME}")
_LANGUAGE = re.compile(r"(?:NOTE[ \t]+)?Language:[ \t]*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,8})")
_NO_CUE = re.compile(r"NOTE(?:[ \t].*)?|(?:STYLE|REGION)[ \t]*", re.DOTALL)


def read(text: str) -> Found:
    """Read the cues of a file, and warn of what the standard's parser drops.

    Raises UnreadableCaptions for a file that doesn't begin as the standard demands.
    """
    lines = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    _check_signature(lines[0])
    found = Found()
    for block in _blocks(lines):
        if block.times:
            found.add(_cue(block, *block.times, found.oddities))
        elif language := next(filter(None, map(_LANGUAGE.fullmatch, block.text)), None):
            found.language = language[1]
        else:
            _report_dropped(block, found.oddities)
    return found


def _check_signature(line: str) -> None:
    if not re.fullmatch(r"WEBVTT(?:[ \t].*)?", line, re.DOTALL):
        hint = "Let the first line be WEBVTT, or say what format the file has if it's another."
        raise UnreadableCaptions("line 1", "the file doesn't begin with “WEBVTT”", hint)


class _Block(NamedTuple):
    """What stands between two empty lines; a cue if it has times."""

    line: int
    """Of its times if it has such a line, or else the first one; from 1."""
    text: Sequence[str]
    id: str = ""
    times_line: str | None = None
    times: tuple[int, int, str] | None = None
    """Start and end in ms, and the settings."""
    is_header: bool = False


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at = 1
    if len(lines) > 1 and lines[1]:
        at, block = _block(lines, 1, is_header=True)
        yield block
    while at < len(lines):
        if lines[at]:
            at, block = _block(lines, at)
            yield block
        else:
            at += 1


def _block(lines: Sequence[str], first: int, *, is_header: bool = False) -> tuple[int, _Block]:
    """Follow “collect a WebVTT block”: return it, and where to go on.

    A line with an arrow starts a cue, as the first or second line of a block, and otherwise ends
    the block before it.
    """
    block = _Block(first + 1, text := [], is_header=is_header)
    for at in range(first, len(lines)):
        line = lines[at]
        if not line:
            return at, block
        if "-->" not in line:
            text.append(line)
            continue
        if is_header or at > first + 1 or block.times_line is not None:
            return at, block
        id, text = "".join(text), []
        block = _Block(at + 1, text, id, line, _times(line))
    return len(lines), block


def _times(line: str) -> tuple[int, int, str] | None:
    """Follow “collect WebVTT cue timings and settings”; None if that fails."""
    if not (match := _TIMES.match(line)):
        return None
    start, end = milliseconds(*match.groups("0")[:4]), milliseconds(*match.groups("0")[4:])
    return None if max(start, end) > MAX_MS else (start, end, line[match.end() :].strip())


def _report_dropped(block: _Block, oddities: Oddities) -> None:
    """Warn of a block that holds neither a cue nor anything else that the standard knows."""
    where = f"line {block.line}"
    if block.times_line is not None:
        shown = quoted(block.times_line)
        message = f"{shown} aren't times as 00:01:02.500 --> 00:01:04.000; the cue is left out."
        oddities.add(where, "dropped-cue", message)
        return
    shown = "".join(block.text).strip()
    if shown and not block.is_header and not _NO_CUE.fullmatch(block.text[0]):
        message = f"{quoted(shown)} has no times and is left out."
        oddities.add(where, "dropped-text", message)


def _cue(block: _Block, start: int, end: int, settings: str, oddities: Oddities) -> Cue:
    text, tags = plain("\n".join(block.text))
    voices = list(dict.fromkeys(filter(None, map(voice, tags))))
    where = f"line {block.line}"
    if settings:
        oddities.once(where, "dropped-settings", "Where cues are shown isn't kept.")
    if len(voices) > 1:
        message = f"{len(voices)} speakers in one cue; a segment has one, so none is kept."
        oddities.add(where, "several-voices", message)
    _report_tags(tags, where, oddities)
    return Cue(
        start_ms=start,
        end_ms=end,
        text=text,
        speaker=voices[0] if len(voices) == 1 else None,
        id=block.id,
        line=block.line,
    )


def _report_tags(tags: Sequence[str], where: str, oddities: Oddities) -> None:
    unknown = next((tag for tag in tags if not _KNOWN_TAG.fullmatch(tag)), None)
    if unknown is not None:
        message = f"{quoted(f'<{unknown}>')} is left out, as a tag that isn't known."
        oddities.add(where, "dropped-tag", message)
    elif any(voice(tag) is None and tag != "/v" for tag in tags):
        oddities.once(where, "dropped-markup", "How texts are marked up isn't kept.")


# --- Reading: the text of cues


_TAG = re.compile(r"<([^>]*)>?")
_VOICE = re.compile(r"v(?:\.[^ \t\n\f]*)?[ \t\n\f]+(.*)", re.DOTALL)
_KNOWN_TAG = re.compile(r"/?(?:c|i|b|u|v|lang|ruby|rt)?(?:[. \t\n\f].*)?|[0-9][0-9:.]*", re.DOTALL)
_REFERENCE = re.compile(r"&(?:#[xX]([0-9a-fA-F]+)|#([0-9]+)|[A-Za-z][A-Za-z0-9]{0,31});?")


def plain(text: str) -> tuple[str, list[str]]:
    """Follow the “WebVTT cue text tokenizer”: return what is shown, and the different tags."""
    pieces = _TAG.split(text)
    return "".join(map(_unescaped, pieces[::2])), list(dict.fromkeys(pieces[1::2]))


def voice(tag: str) -> str | None:
    """Return who speaks, if a tag says so."""
    match = _VOICE.fullmatch(tag)
    return (_one_line(_unescaped(match[1])) or None) if match else None


def _one_line(name: str) -> str:
    return re.sub(r"[ \t\n\f\r]+", " ", name).strip(" ")


def _unescaped(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    hexadecimal, decimal = match.groups()
    if not (digits := hexadecimal or decimal):
        return html.unescape(match[0])
    digits = digits.lstrip("0")[:8] or "0"  # cut, since Python refuses numbers of 5,000 digits
    code = int(digits, 16 if hexadecimal else 10)
    # Python drops control characters, where HTML keeps them.
    return html.unescape(f"&#{code};") or chr(code)


# --- Writing


_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;", "\0": "\ufffd"},
)
_LOST_BREAK = re.compile(r"(?<![^\n])\n|\n\Z")
"""A line break next to an empty line, which would end the cue."""


def write(cues: Iterable[Cue], language: str | None) -> Iterator[str]:
    """Write a file: voices as voice spans, and every character so that it is read again.

    Only NUL, which WebVTT can't hold, becomes U+FFFD. The language stands in a comment, as the
    standard has no place for that of a whole file.
    """
    yield "WEBVTT\n"
    if language and _LANGUAGE.fullmatch(note := f"NOTE Language: {language}"):
        yield f"\n{note}\n"
    for cue in cues:
        times = f"{written(cue.start_ms, '.')} --> {written(cue.end_ms, '.')}"
        yield f"\n{_id(cue)}{times}\n{_text(cue)}\n"


def _id(cue: Cue) -> str:
    is_safe = cue.id and "-->" not in cue.id and not re.search(r"[\r\n\0]", cue.id)
    return f"{cue.id}\n" if is_safe else ""


def _text(cue: Cue) -> str:
    text = _LOST_BREAK.sub("&#10;", cue.text.translate(_ESCAPES))
    name = _one_line(cue.speaker or "")
    return f"<v {name.translate(_ESCAPES)}>{text}" if name else text
