"""Writing files of captions."""

from collections.abc import Iterable, Iterator

from transcriptions.captions import subrip, webvtt
from transcriptions.captions.cues import Cue
from transcriptions.captions.formats import FormatName

PARAGRAPH_PAUSE_MS = 2_000


def write(cues: Iterable[Cue], format: FormatName, language: str | None = None) -> bytes:
    """Write cues as SRT, WebVTT or plain text, in UTF-8.

    SRT and WebVTT are read again as they were written, to the millisecond and the character, but
    for what they can't hold: see `subrip` and `webvtt`.
    """
    match format:
        case "srt":
            parts = subrip.write(cues)
        case "vtt":
            parts = webvtt.write(cues, language)
        case "txt":
            parts = _paragraphs(cues)
        case _:
            raise ValueError(f"cues aren't written as {format}")
    return "".join(parts).encode()


def _paragraphs(cues: Iterable[Cue]) -> Iterator[str]:
    """Write plain text: a paragraph for each speaker's turn, and a new one after a pause."""
    previous: Cue | None = None
    for cue in cues:
        text = " ".join(cue.text.split())
        if not text:
            continue
        if previous and _continues(cue, previous):
            yield f" {text}"
        else:
            yield "\n\n" if previous else ""
            yield f"{' '.join(cue.speaker.split())}: {text}" if cue.speaker else text
        previous = cue
    if previous:
        yield "\n"


def _continues(cue: Cue, previous: Cue) -> bool:
    is_close = cue.start_ms - previous.end_ms < PARAGRAPH_PAUSE_MS
    return is_close and cue.speaker == previous.speaker
