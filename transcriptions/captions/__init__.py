"""Captions: a transcription as SRT, WebVTT, plain text or JSON, and back.

`export` and `import_` are all that others need; `FORMATS` says which formats there are. Nothing
here touches the database or HTTP.
"""

from snipix import states
from transcriptions.captions import cues, importing, reading, whisper, writing
from transcriptions.captions.cues import Cue, CueOptions
from transcriptions.captions.errors import UnreadableCaptions
from transcriptions.captions.formats import FORMATS, UNKNOWN_LANGUAGE, Format, FormatName
from transcriptions.captions.importing import Imported
from transcriptions.state import TranscriptionState

__all__ = [
    "FORMATS",
    "Cue",
    "CueOptions",
    "Format",
    "FormatName",
    "Imported",
    "TranscriptionState",
    "UnreadableCaptions",
    "export",
    "import_",
]

_AS_IS = CueOptions()


def export(state: TranscriptionState, format: FormatName, options: CueOptions = _AS_IS) -> bytes:
    """Write a transcription as a file.

    With the default options, SRT and WebVTT are imported again with every time, to the
    millisecond, and every text; JSON with everything.
    """
    if format == "json":
        return states.encode(state)
    in_text = format == "srt" and options.speakers is True
    shown = cues.of_state(state, options, names_in_text=in_text)
    language = None if state.language == UNKNOWN_LANGUAGE else state.language
    return writing.write(shown, format, language)


def import_(raw: bytes, format: FormatName) -> Imported:
    """Read a transcription from SRT, WebVTT, or JSON of Whisper or of our own.

    It is to be checked like any other that a client sends. Raises UnreadableCaptions.
    """
    if format == "json":
        return whisper.read(raw)
    return importing.from_cues(reading.read(raw, format))
