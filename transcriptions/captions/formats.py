"""The formats of captions, and what they are called."""

from typing import Literal, NamedTuple

FormatName = Literal["srt", "vtt", "txt", "json"]

UNKNOWN_LANGUAGE = "und"  # as BCP 47 calls it


class Format(NamedTuple):
    """A format of files: its media type, and whether captions can be read from it."""

    name: FormatName
    title: str
    media_type: str
    extension: str
    is_readable: bool


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("srt", "SubRip", "application/x-subrip", ".srt", True),
        Format("vtt", "WebVTT", "text/vtt", ".vtt", True),
        Format("txt", "Plain text", "text/plain", ".txt", False),  # it has no times
        Format("json", "JSON", "application/json", ".json", True),
    )
}
