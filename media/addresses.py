"""Where media are to be had: addresses of ours, never paths of the server.

An `<img>` sends no token. So, in accounts mode, the address of a thumbnail is signed, and for a
while it shows the picture to whoever has it. All that are made within `LIFE_SECONDS` are the same,
so that browsers keep the picture, and end between one and two of these after they were made.
"""

import time
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import Signer
from django.utils.crypto import constant_time_compare

LIFE_SECONDS = 12 * 3600
_API = "/api/v1/projects/{}/{}/"
_OLDER = "/media/{}/{}"
_signer = Signer(salt="snipix.media.thumbnail")


def video(project_id: str, *, older: bool = False) -> str:
    return (_OLDER if older else _API).format(project_id, "video")


def thumbnail(project_id: str, file: str, *, older: bool = False) -> str:
    """The address of the picture that is stored as `file`."""
    address = (_OLDER if older else _API).format(project_id, "thumbnail")
    if settings.SNIPIX_AUTH == "anonymous":
        return address
    expires = (_period() + 2) * LIFE_SECONDS
    signature = _signer.signature(_signed(file, str(expires)))
    return f"{address}?{urlencode({'expires': expires, 'signature': signature})}"


def is_valid(file: str, expires: str, signature: str) -> bool:
    """Whether we signed this for the picture that is stored as `file`, and it hasn't ended."""
    is_ours = constant_time_compare(signature, _signer.signature(_signed(file, expires)))
    return is_ours and int(expires) > time.time()


def period() -> str:
    """What else than the project makes its JSON form: in accounts mode, when addresses end."""
    return "" if settings.SNIPIX_AUTH == "anonymous" else f"thumbnails {_period()}"


def _period() -> int:
    return int(time.time() // LIFE_SECONDS)


def _signed(file: str, expires: str) -> str:
    return f"{file}:{expires}"
