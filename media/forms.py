"""Forms with a file (RFC 7578), taken in as they come: nothing of the file stays in memory."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser

from media import containers
from media.incoming import Incoming
from media.probing import refused
from snipix import errors

FORM_BYTES = 64 * 1024
"""What a form may have besides its file."""
_CHUNK_BYTES = 256 * 1024
_DISCARD_SECONDS = 30
_LONGEST_NAME = 200
_DEFAULT_NAME = "video"


class FormWithFile:
    """What came in: the file, what its sender called it, and the form's other fields.

    Use as a context manager: the file goes at the end, unless it was moved away.
    """

    def __init__(self, offered: tuple[str, ...]) -> None:
        self.offered = offered
        self.fields: dict[str, str] = {}
        self.file: Incoming | None = None
        self.file_name = _DEFAULT_NAME

    @property
    def video(self) -> Incoming:
        """The file; a form without one is refused by the parser."""
        if self.file is None:
            raise RuntimeError("the file hasn't begun to come")
        return self.file

    def close(self) -> None:
        if self.file:
            self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class FormParser(BaseParser):
    """Reads a form whose `file` is a video; the view says which `form_fields` it may have besides.

    Raises InvalidInput, RequestTimeout, BodyTooLarge, UnreadableVideo, InsufficientStorage, and
    what the view's `check_fields` raises: it is called with the fields so far before the first
    byte of the file is kept.
    """

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        view, request = (parser_context or {})["view"], (parser_context or {})["request"]
        form = FormWithFile(view.form_fields)
        counted = _Counted(stream)
        try:
            _read(form, counted, request.META, view.check_fields)
            if counted.bytes < content_length(request):
                raise errors.RequestTimeout("The file stopped coming before it was complete.")
            return form
        except BaseException:
            form.close()
            raise


def content_length(request: Any) -> int:
    """The length of the body. Raises LengthRequired."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit():
        raise errors.LengthRequired("Send the file with a Content-Length.")
    return int(length)


def discard_rest(request: HttpRequest) -> None:
    """Read on what nobody wants, for a while: many clients listen only once they have sent all."""
    deadline = time.monotonic() + _DISCARD_SECONDS
    try:
        while time.monotonic() < deadline and request.read(_CHUNK_BYTES):
            pass
    except OSError:
        return  # it is gone


def clean_name(name: str) -> str:
    """What a sender calls a file, without anything but letters to read: one line, no folders."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C" or c == " ").strip()
    return shown[:_LONGEST_NAME] or _DEFAULT_NAME


class _Counted:
    """A stream that knows how much of it was read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int) -> bytes:
        chunk: bytes = self._stream.read(size)
        self.bytes += len(chunk)
        return chunk


class _Parser(MultiPartParser):
    """Django's parser, which can be asked in between."""

    def fields_so_far(self) -> dict[str, str]:
        return self._post.dict()  # type: ignore[attr-defined]


def _read(form: FormWithFile, stream: Any, meta: Mapping[str, Any], check_fields: Any) -> None:
    handler = _ToDisk(form)
    try:
        parser = _Parser(meta, stream, [handler])
        handler.check = lambda: check_fields(_known(form, parser.fields_so_far()))
        posted, _ = parser.parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        reason = "isn't a form that can be read (RFC 7578)"
        raise errors.InvalidInput.at("", reason, "Let a library write it.") from error
    form.fields = _known(form, posted.dict())  # type: ignore[arg-type]
    handler.end()


def _known(form: FormWithFile, fields: dict[str, str]) -> dict[str, str]:
    for name in fields:
        if name not in form.offered:
            offered = ", ".join(("file", *form.offered))
            reason = "must be a file" if name == "file" else "isn't a field of this form"
            raise errors.InvalidInput.at(name[:100], reason, f"Its fields are: {offered}.")
    return fields


class _ToDisk(FileUploadHandler):
    """Writes a form's one file to where it waits until it was looked into."""

    def __init__(self, form: FormWithFile) -> None:
        super().__init__()
        self.chunk_size = _CHUNK_BYTES
        self.check: Any = None
        self._form = form
        self._head: bytes | None = b""
        self._is_complete = False

    def new_file(self, field_name: str, file_name: str, *args: Any, **options: Any) -> None:
        if field_name != "file":
            _known(self._form, {field_name: ""})
            raise errors.InvalidInput.at(field_name, "must not be a file", "Send it as text.")
        if self._form.file:
            raise errors.InvalidInput.at("file", "was sent twice", "Send one video at a time.")
        self.check()
        self._form.file_name = clean_name(file_name)
        self._form.file = Incoming("part")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        limit = settings.MAX_VIDEO_BYTES
        if self._form.video.size + len(raw_data) > limit:
            raise too_large(limit)
        if self._head is not None:
            raw_data = self._begun(self._head + raw_data)
        self._form.video.write(raw_data)

    def _begun(self, head: bytes) -> bytes:
        """What has come of the file, once it is known for a video: no other is taken in at all."""
        self._head = head
        if len(head) < containers.HEAD_BYTES:
            return b""
        _check_kind(head)
        self._head = None
        return head

    def file_complete(self, file_size: int) -> None:
        if self._head is not None:
            _check_kind(self._head)
            self._form.video.write(self._head)
            self._head = None
        self._is_complete = True

    def end(self) -> None:
        if self._form.file is None:
            raise without_file()
        if not self._is_complete:
            reason = "has no end: the form's last boundary is missing"
            raise errors.InvalidInput.at("file", reason, "Send the form again.")
        self._form.video.finish()


def _check_kind(head: bytes) -> None:
    if containers.kind_of(head) is None:
        raise refused("it isn't MP4, MOV, AVI, MKV or WebM, whatever its name says")


def without_file() -> errors.InvalidInput:
    hint = "Send the video as a file of this name."
    return errors.InvalidInput.at("file", "is missing", hint)


def too_large(limit: int) -> errors.BodyTooLarge:
    return errors.BodyTooLarge(
        f"The video has more than the {limit:,} bytes that are taken. Send a smaller export of it.",
        limit=limit,
    )
