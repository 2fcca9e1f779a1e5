"""Why a video isn't taken, or not served."""

from snipix.errors import SnipixError


class UnreadableVideo(SnipixError):
    """What was sent isn't a video that can be shown. It isn't kept."""

    status = 422
    code = "unreadable-video"
    title = "The file isn't a video that can be shown"


class InsufficientStorage(SnipixError):
    """RFC 4918, section 11.5: there is no room for the file."""

    status = 507
    code = "insufficient-storage"
    title = "There is no room for the file"


class TooManyUploads(SnipixError):
    """So many videos are coming in at once that others couldn't be served any more."""

    status = 503
    code = "too-many-uploads"
    title = "Too many videos are being uploaded at once"
    headers = {"Retry-After": "10"}


class PreconditionFailed(SnipixError):
    """RFC 9110, section 15.5.13: the file isn't the one that the request is about."""

    status = 412
    code = "precondition-failed"
    title = "The file isn't the one that the request is about"


class RangeNotSatisfiable(SnipixError):
    """RFC 9110, section 15.5.17: none of the ranges has a byte of the file."""

    status = 416
    code = "range-not-satisfiable"
    title = "The file has no such bytes"

    def __init__(self, length: int) -> None:
        super().__init__(
            f"The file has {length:,} bytes, and the ranges lie beyond. Ask within it.",
            length=length,
        )
        self.headers = {"Content-Range": f"bytes */{length}", "Accept-Ranges": "bytes"}
