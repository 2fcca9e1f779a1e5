"""SubRip (SRT): cues as a number, a line of times and lines of text, parted by empty lines.

There is no standard, and no way to write what looks like markup. So the reader is strict where a
guess could lose a text, and names the line; it is ours, since the libraries guess. The writer puts
an invisible character, U+2060 WORD JOINER, into what players would take for something else: an
empty line within a text, a tag that is meant as text, an arrow. The reader takes it out again.
Line breaks become LF, and NUL becomes U+FFFD; otherwise every text is read as it was written.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from transcriptions.captions.clock import milliseconds, written
from transcriptions.captions.cues import MAX_MS, Cue, Found
from transcriptions.captions.errors import UnreadableCaptions, quoted
from transcriptions.captions.oddities import Oddities

_TIME = r"([0-9]{1,7}):([0-5][0-9]):([0-5][0-9]),([0-9]{3})"
_PLACE = r"(?:[ \t]+[XY][12]:[0-9]+){1,4}"
_TIMES = re.compile(rf"[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}({_PLACE})?[ \t]*")
_NUMBER = re.compile(r"[ \t]*[0-9]+[ \t]*")
_EXAMPLE = "00:00:01,500 --> 00:00:04,000"

_STYLE_TAG = r"/?(?:b|i|u|s|font)\b[^<>\n]*>"
_MARKUP = re.compile(rf"<{_STYLE_TAG}|\{{\\[^{{}}\n]*\}}", re.IGNORECASE)
_JOINER = "\u2060"
_MISREAD = re.compile(
    rf"(?<=--){_JOINER}*(?=>)"
    rf"|(?<=<){_JOINER}*(?={_STYLE_TAG})"
    rf"|(?<=\{{){_JOINER}*(?=\\)"
    rf"|^{_JOINER}*(?=[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a joiner is put in; and taken out again, so joiners that are already there count."""


# --- Reading


def read(text: str) -> Found:
    """Read the cues of a file.

    Raises UnreadableCaptions with the line of the first thing that is broken.
    """
    lines = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found, at = Found(), 0
    while at < len(lines):
        if _is_blank(lines[at]):
            at += 1
        else:
            at, cue = _cue(lines, at, found.oddities)
            found.add(cue)
    return found


def _is_blank(line: str) -> bool:
    return not line.strip(" \t")


def _cue(lines: Sequence[str], at: int, oddities: Oddities) -> tuple[int, Cue]:
    """Read the cue that starts at an index; return where to go on, too."""
    id = ""
    if _NUMBER.fullmatch(lines[at]):
        id, at = lines[at].strip(), at + 1
    start, end, has_place = _times(lines, at, id)
    number = at + 1
    until = at + 1
    while until < len(lines) and not _is_blank(lines[until]):
        _check_text(lines[until], until + 1)
        until += 1
    if until == at + 1:
        hint = "Write the text below the times, or delete the cue."
        raise UnreadableCaptions(f"line {number}", "the cue has no text", hint)
    text, is_marked_up = _plain("\n".join(lines[at + 1 : until]))
    if has_place:
        oddities.once(f"line {number}", "dropped-settings", "Where cues are shown isn't kept.")
    if is_marked_up:
        oddities.once(f"line {number}", "dropped-markup", "How texts are marked up isn't kept.")
    return until, Cue(start_ms=start, end_ms=end, text=text, id=id, line=number)


def _times(lines: Sequence[str], at: int, id: str) -> tuple[int, int, bool]:
    line = lines[at] if at < len(lines) else ""
    if match := _TIMES.fullmatch(line):
        start, end = milliseconds(*match.groups()[:4]), milliseconds(*match.groups()[4:8])
        _check_order(start, end, line, at + 1)
        return start, end, bool(match[9])
    if "-->" in line:
        hint = f"Write them as {_EXAMPLE}, with a comma before the milliseconds."
        raise UnreadableCaptions(f"line {at + 1}", f"{quoted(line)} aren't times", hint)
    hint = f"Write the times, as {_EXAMPLE}, above the text; leave no empty line within a text."
    if id:
        reason = f"cue {id[:20]} has no times"
        raise UnreadableCaptions(f"line {min(at + 1, len(lines))}", reason, hint)
    if line.startswith("WEBVTT"):
        hint = "Say that the format is WebVTT."
    reason = f"{quoted(line)} is neither the number nor the times of a cue"
    raise UnreadableCaptions(f"line {at + 1}", reason, hint)


def _check_order(start: int, end: int, line: str, number: int) -> None:
    if end < start:
        reason = f"the cue ends before it starts ({quoted(line)})"
        raise UnreadableCaptions(f"line {number}", reason, "Give it an end after its start.")
    if end > MAX_MS:
        reason = f"{quoted(line)} is more than 300 years in"
        raise UnreadableCaptions(f"line {number}", reason, "Check the hours.")


def _check_text(line: str, number: int) -> None:
    if _TIMES.fullmatch(line):
        hint = "Put an empty line between a text and the next cue."
        raise UnreadableCaptions(f"line {number}", "times stand within a cue's text", hint)


def _plain(text: str) -> tuple[str, bool]:
    """Return the text without markup, and whether there was any."""
    text, count = _MARKUP.subn("", text)
    return _MISREAD.sub(lambda match: match[0][1:], text), count > 0


# --- Writing


def write(cues: Iterable[Cue]) -> Iterator[str]:
    """Write a file, cue by cue."""
    for number, cue in enumerate(cues, 1):
        times = f"{written(cue.start_ms, ',')} --> {written(cue.end_ms, ',')}"
        separator = "\n" if number > 1 else ""
        yield f"{separator}{number}\n{times}\n{_protected(cue.text)}\n"


def _protected(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return _MISREAD.sub(lambda match: match[0] + _JOINER, text)
