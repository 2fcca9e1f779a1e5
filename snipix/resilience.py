"""One runner for all that changes the database: it knows what may be tried again, and how often.

- A write conflict is no failure: somebody else was faster. The whole is run again, with jitter,
  until the request's deadline.
- What a server undoes itself, which it says by a label (TransientTransactionError), is run again
  until then, too, with exponential backoff. A change is a dozen operations: where one of ten
  fails, three attempts at the whole would refuse one change in four.
- A connection that fails is tried three times, with exponential backoff.
- What is late isn't begun: after the deadline no operation is, but for a commit.
- A commit whose outcome is unknown is sent again; MongoDB knows it by its transaction number. A
  server that doesn't (it was restarted) is asked whether the change's audit entry is there.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog
from bson import ObjectId
from django.conf import settings
from django.db import DatabaseError, IntegrityError
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, NotPrimaryError, OperationFailure, PyMongoError
from pymongo.errors import ServerSelectionTimeoutError as NoServer
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from snipix import errors, logs, metrics, open_transactions
from snipix.database.base import TooLate, until
from snipix.mongo import MOMENTARY, connection

T = TypeVar("T")

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("snipix.resilience")

ATTEMPTS = 3
_MAJORITY = WriteConcern("majority", j=True)
_WRITE_CONFLICT = 112
_conflict_wait = wait_random_exponential(multiplier=0.004, max=0.25)
_undone_wait = wait_random_exponential(multiplier=0.02, max=0.5)
_failure_wait = wait_random_exponential(multiplier=0.1, max=2)
_running: ContextVar["_Run | None"] = ContextVar("running", default=None)


class WriteConflict(Exception):
    """Another writer was faster; run the whole again on what there is now."""


class TakenBack(Exception):
    """Raised by the work itself, to undo what it did and hand over what it would have answered."""

    def __init__(self, result: Any) -> None:
        super().__init__("taken back on purpose")
        self.result = result


class CommitUnknown(Exception):
    """The connection broke during the commit, and the server can't say what became of it."""


def record_id() -> ObjectId:
    """The id for what is recorded about one document: first the change's own, then new ones.

    So a change that landed is known by its first record, and can't be recorded twice.
    """
    run = _current()
    run.records += 1
    return run.id if run.records == 1 else ObjectId()


def _current() -> "_Run":
    run = _running.get()
    if run is None:
        raise RuntimeError("documents are changed within history.change() only")
    return run


def is_running() -> bool:
    """Whether a change runs in this thread, so that what is written isn't committed yet."""
    return _running.get() is not None


def transaction(work: Callable[[], T], *, is_committed: Callable[[ObjectId], bool]) -> T:
    """Run `work` in a transaction, again where a repeat is safe, until it is committed.

    Raises what `work` raises for good, and DatabaseUnavailable, Overloaded or OutcomeUnknown.
    """
    if _running.get() is not None:
        return work()
    run = _Run(work, is_committed)
    reset = _running.set(run)
    try:
        return run.result()
    finally:
        _running.reset(reset)
        run.end()


def read(work: Callable[[], T]) -> T:
    """Run what only reads, again where it failed for a moment: three times at most.

    Raises what `work` raises for good. That there is no server is no matter of a moment.
    """
    try:
        with until(time.monotonic() + settings.REQUEST_DEADLINE):
            result = _reading(work)
    except (DatabaseError, PyMongoError) as error:
        if _is_momentary(error) or _reading.statistics["attempt_number"] > 1:
            metrics.RECOVERIES.labels("given up").inc()
        raise
    if _reading.statistics["attempt_number"] > 1:
        metrics.RECOVERIES.labels("succeeded").inc()
    return result


def _is_momentary(error: BaseException) -> bool:
    cause = _cause(error)
    is_silence = isinstance(cause, ConnectionFailure) and not isinstance(cause, NoServer)
    return is_silence or getattr(cause, "code", None) in MOMENTARY or _reason(error) == "undone"


def _has_tried_enough(state: RetryCallState) -> bool:
    is_late = (state.seconds_since_start or 0) >= settings.REQUEST_DEADLINE
    return is_late or state.attempt_number >= ATTEMPTS


def _note_repeat(what: str, reason: str, attempt: int, error: BaseException | None) -> None:
    """Count and log that an attempt (the first is 1) is followed by another.

    Nothing of the error's text, which holds documents. Savers that meet are nothing to report.
    """
    if what == "read":
        metrics.READ_RETRIES.inc()
    else:
        metrics.TRANSACTION_RETRIES.labels(reason).inc()
    logs.count_retry()
    cause = _cause(error)
    facts = {"error": type(cause).__name__, "code": getattr(cause, "code", None)}
    write = _log.debug if reason == "conflict" else _log.info
    write("repeated", what=what, reason=reason, attempt=attempt, **facts)


def _note_repeated_read(state: RetryCallState) -> None:
    error = _error(state)
    _note_repeat("read", _reason(error) or "failure", state.attempt_number, error)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


_reading = Retrying(
    retry=retry_if_exception(_is_momentary),
    wait=_failure_wait,
    stop=_has_tried_enough,
    before_sleep=_note_repeated_read,
    reraise=True,
)


class _Run:
    """The attempts at one transaction, in one session.

    So what an attempt left open, because its connection broke, ends when the next one begins: it
    can't be in the way, or be committed late.
    """

    def __init__(self, work: Callable[[], T], is_committed: Callable[[ObjectId], bool]) -> None:
        self.work = work
        self.is_committed = is_committed
        self.id = ObjectId()
        self.session: ClientSession | None = None
        self.records = 0
        self.deadline = time.monotonic() + settings.REQUEST_DEADLINE
        self.failures = 0
        self.has_failed = False
        """Whether any attempt did, by no fault of others."""
        self.has_conflicted = False
        self.is_cut_off = False
        """Whether the last attempt ended because MongoDB didn't answer."""
        self.doubtful: list[Any] = []  # the result of an attempt whose commit is in doubt

    def result(self) -> Any:
        retrying = Retrying(
            retry=self._may_retry,
            wait=self._wait,
            stop=self._is_over,
            before_sleep=self._note_repeat,
            reraise=True,
        )
        try:
            result = retrying(self._attempt)
        except TakenBack:
            self._count("taken back")
            raise
        except Exception as error:
            # A commit in doubt may have landed late, and made the next attempt fail on it.
            has_landed = self._has_landed(error)
            if not has_landed:
                self._count("failed", is_given_up=bool(_reason(error)))
                told = self._unknown() if has_landed is None else self._translated(error)
                if told is error:
                    raise  # not from itself: the driver's error is its cause
                raise told from error
            result = self.doubtful[-1]
        self._count("committed")
        return result

    def _count(self, outcome: str, *, is_given_up: bool = False) -> None:
        metrics.TRANSACTIONS.labels(outcome).inc()
        if self.has_failed:
            metrics.RECOVERIES.labels("given up" if is_given_up else "succeeded").inc()

    def _has_landed(self, error: Exception) -> bool | None:
        """Whether an attempt was committed after all; None if that can't be asked."""
        if not self.doubtful:
            return False
        if not isinstance(_cause(error), NoServer):
            with suppress(DatabaseError, PyMongoError):
                return self.is_committed(self.id)
        return None

    def _attempt(self) -> Any:
        if self.doubtful and self.is_committed(self.id):
            return self.doubtful[-1]
        self.records = 0
        self.session = self.session or _new_session()
        with _begun(self.session):
            with until(self.deadline):
                result = self.work()
            self._commit(self.session, result)
            return result

    def end(self) -> None:
        if self.session:
            if self.is_cut_off:
                open_transactions.leave(self.session)
            self.session.end_session()

    def _commit(self, session: ClientSession, result: Any) -> None:
        """Commit, repeating it while the outcome is unknown: a repeat of a commit is safe.

        All errors but a conflict leave it in doubt, also that there is no such transaction: the
        driver has then repeated the commit itself, and a server that was restarted in between
        may not know any more what it committed before.
        """
        while True:
            try:
                return session.commit_transaction()
            except PyMongoError as error:
                if getattr(error, "code", None) == _WRITE_CONFLICT:
                    raise
                self.doubtful.append(result)
                is_gone = isinstance(error, NoServer) or time.monotonic() >= self.deadline
                if is_gone or not isinstance(error, ConnectionFailure):
                    raise CommitUnknown from error
                self.has_failed = True
                _note_repeat("commit", "commit", len(self.doubtful), error)
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - jitter

    def _may_retry(self, state: RetryCallState) -> bool:
        error = _error(state)
        reason = _reason(error)
        is_away, is_race = isinstance(_cause(error), NoServer), isinstance(error, IntegrityError)
        if reason == "failure":
            # Looking for a server has waited as long as it may: once is enough.
            self.failures += ATTEMPTS if is_away else 1
        self.has_conflicted |= reason == "conflict"
        self.is_cut_off = reason in ("failure", "unknown") and not is_race
        self.has_failed |= reason not in ("", "conflict") and not (is_away or is_race)
        return bool(reason)

    def _note_repeat(self, state: RetryCallState) -> None:
        error = _error(state)
        _note_repeat("change", _reason(error), state.attempt_number, error)

    def _is_over(self, state: RetryCallState) -> bool:
        return self.failures >= ATTEMPTS or time.monotonic() >= self.deadline

    def _wait(self, state: RetryCallState) -> float:
        error = _error(state)
        waits = {"conflict": _conflict_wait, "undone": _undone_wait}
        return waits.get(_reason(error), _failure_wait)(state)

    def _translated(self, error: Exception) -> Exception:
        """The error as the caller should see it."""
        is_race = isinstance(error, IntegrityError)
        is_race |= self.has_conflicted and isinstance(_cause(error), TooLate)
        match _reason(error):
            case "conflict" | "failure" | "undone" | "unknown" if self.doubtful:
                return self._unknown()
            case "failure" | "undone" if not is_race:
                return errors.DatabaseUnavailable(
                    "Your change was not saved: the database can't be reached in time. Everything "
                    "saved before is safe; try again in a few seconds."
                )
            case "conflict" | "failure":
                return errors.Overloaded(
                    "Your change was not saved: too many changes of this document came at once. "
                    "Send it again."
                )
        return error

    def _unknown(self) -> errors.OutcomeUnknown:
        return errors.OutcomeUnknown(
            "The connection to the database broke while your change was being saved. "
            "Send it again with the same Idempotency-Key: it takes effect once. "
            "If it had none, look first whether it was saved."
        )


def _new_session() -> ClientSession:
    connection.ensure_connection()
    open_transactions.end_left()
    session: ClientSession = connection.connection.start_session()
    open_transactions.note(session)
    return session


@contextmanager
def _begun(session: ClientSession) -> Iterator[None]:
    """A transaction that the ORM's operations of this thread join; undone unless committed."""
    session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=_MAJORITY)
    connection.session = session
    connection.in_atomic_block_mongo = True
    try:
        yield
    finally:
        connection.session = None
        connection.in_atomic_block_mongo = False
        if session.in_transaction:
            session.abort_transaction()


def _reason(error: BaseException | None) -> str:
    """Why an attempt may be repeated: conflict, failure, undone, unknown; empty if it may not."""
    cause = _cause(error)
    if isinstance(error, WriteConflict):
        return "conflict"
    if isinstance(error, IntegrityError):
        # Two racing inserts: the next attempt sees the other's document, and says what it means.
        # A few are enough, then; and one that isn't the server's word is a mistake of ours.
        return "failure" if error.__cause__ else ""
    if isinstance(error, CommitUnknown):
        return "unknown"
    if not isinstance(cause, PyMongoError):
        return ""
    if getattr(cause, "code", None) == _WRITE_CONFLICT:
        return "conflict"
    if isinstance(cause, OperationFailure | NotPrimaryError):  # an answer, and no silence
        return "undone" if cause.has_error_label("TransientTransactionError") else ""
    return "failure" if isinstance(cause, ConnectionFailure) else ""


def _cause(error: BaseException | None) -> BaseException | None:
    """The driver's error beneath Django's."""
    return error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error
