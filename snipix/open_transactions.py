"""Who has a transaction open on this machine, noted so that it can be ended if its process dies.

MongoDB keeps the transaction of a client that was killed for its `transactionLifetimeLimitSeconds`,
a minute by default, and until then nobody else can change what it had changed. So every process
notes the sessions of its transactions in a file that it keeps locked, and a web worker or a command
that starts ends those in files that nobody holds any more. What a process itself had to leave open,
because the connection broke, it ends before its next change. To end one too many does no harm: its
process runs the transaction again.
"""

import atexit
import contextlib
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import UUID, uuid4

from bson import Binary
from django.utils.crypto import salted_hmac
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from snipix.database.base import refuse_if_away
from snipix.mongo import connection

_ID_BYTES = 16
_OVER_SECONDS = 86_400


def note(session: ClientSession) -> None:
    """Write down that this thread uses a session for its transactions.

    Where that can't be written (a full disk), killed transactions last their minute: no harm else.
    """
    with contextlib.suppress(OSError):
        _own_notes().write(bytes(session.session_id["id"]))


def leave(session: ClientSession) -> None:
    """Remember a session whose transaction couldn't be ended, since MongoDB couldn't be reached."""
    with _lock:
        _left.add(bytes(session.session_id["id"]))


def end_left() -> None:
    """End what this process had to leave open. Raises PyMongoError if it still has to."""
    with _lock:
        ids = set(_left)
    if ids:
        refuse_if_away()
        _kill(ids)
        with _lock:
            _left.difference_update(ids)


def end_abandoned() -> int:
    """End what processes of this machine left open when they died; return of how many threads.

    Raises PyMongoError if MongoDB can't be reached; the next call then tries again.
    """
    files = sorted(_folder().glob("*.sessions"))
    return sum(_end(path) for path in files if _is_ours(path) or _is_over(path))


class _Notes:
    """The file of this process: one session id for each of its threads, the last one it used."""

    def __init__(self, folder: Path) -> None:
        self.pid = os.getpid()
        self.places: dict[int, int] = {}
        name = f"{_database()}-{uuid4().hex}"
        draft, path = folder / f"{name}.new", folder / f"{name}.sessions"
        self.file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        draft.rename(path)  # only now, locked, may others see it
        atexit.register(self._remove, path)

    def write(self, session_id: bytes) -> None:
        thread = threading.get_ident()
        if thread not in self.places:
            with _lock:
                self.places[thread] = len(self.places)
        os.pwrite(self.file, session_id, self.places[thread] * _ID_BYTES)

    def _remove(self, path: Path) -> None:
        if self.pid == os.getpid():  # not in a fork, which inherits this call
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # where others are
                path.parent.rmdir()


_notes: _Notes | None = None
_left: set[bytes] = set()
_lock = threading.RLock()


def _own_notes() -> _Notes:
    global _notes
    with _lock:
        if _notes is None or _notes.pid != os.getpid():
            _notes = _Notes(_folder())
        return _notes


def _folder() -> Path:
    """A folder that nobody else on this machine may read or write."""
    folder = Path(tempfile.gettempdir()) / f"snipix-transactions-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _database() -> str:
    """A name for the database that says nothing about it."""
    place = connection.settings_dict
    return salted_hmac(__name__, f"{place['HOST']} {place['NAME']}").hexdigest()[:16]


def _is_ours(path: Path) -> bool:
    return path.name.startswith(_database())


def _is_over(path: Path) -> bool:
    """Whether it is so old that a transaction of whatever database has ended by itself."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _OVER_SECONDS
    return False


def _end(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError, BlockingIOError), _locked(path) as content:
        ids = {content[i : i + _ID_BYTES] for i in range(0, len(content), _ID_BYTES)}
        if ids and _is_ours(path):
            _kill(ids)
        path.unlink(missing_ok=True)
        return len(ids)
    return 0


def _kill(ids: Collection[bytes]) -> None:
    sessions = [{"id": Binary.from_uuid(UUID(bytes=id))} for id in ids]
    with contextlib.suppress(OperationFailure):  # not allowed: their minute has to pass
        connection.database.client.admin.command("killSessions", sessions)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bytes]:
    """What a file holds; raises BlockingIOError if the process that wrote it still runs."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file.read()
