"""Reading files of captions: bytes become text, and text becomes cues."""

import codecs

from transcriptions.captions import subrip, webvtt
from transcriptions.captions.cues import Found
from transcriptions.captions.errors import UnreadableCaptions
from transcriptions.captions.formats import FormatName

_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAVE_AS = "Save the file as UTF-8."


def read(raw: bytes, format: FormatName) -> Found:
    """Read the cues of an SRT or WebVTT file.

    Raises UnreadableCaptions, with the line, the reason and what to do. What WebVTT's standard
    drops is no reason: it is reported in the warnings.
    """
    match format:
        case "srt":
            return subrip.read(decode(raw))
        case "vtt":
            return webvtt.read(decode(raw))
    hint = "Send SRT (srt), WebVTT (vtt), or JSON of a transcription (json)."
    raise UnreadableCaptions("", f"can't be imported: {format} has no times", hint)


def decode(raw: bytes) -> str:
    """Read text in UTF-8, or in UTF-16 if it has a byte order mark, without that mark.

    WebVTT's standard would replace what isn't UTF-8. That destroys texts, so it is refused.
    """
    if raw.startswith(_UTF_32):
        raise UnreadableCaptions("", "is UTF-32, which isn't read", _SAVE_AS)
    if raw.startswith(_UTF_16):
        return _decode(raw, "utf-16")
    if raw[:2].count(0) == 1:
        reason = "seems to be UTF-16, but lacks the byte order mark that says so"
        raise UnreadableCaptions("", reason, _SAVE_AS)
    return _decode(raw, "utf-8-sig")


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "ignore")
        line = before.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        reason = f"the byte 0x{error.object[error.start]:02X} isn't {encoding[:6].upper()} here"
        raise UnreadableCaptions(f"line {line}", reason, _SAVE_AS) from None
