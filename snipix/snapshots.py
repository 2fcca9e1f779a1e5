"""Reading what was stored at one moment, for as long as the server remembers that moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from snipix.mongo import connection

_PATIENCE_MS = 300_000
"""For one answer of the server: commands that look at everything aren't requests."""
_TOO_OLD = {239, 251, 290}
"""SnapshotTooOld, NoSuchTransaction, TransactionExceededLifetimeLimitSeconds."""


@contextmanager
def patient_client() -> Iterator[MongoClient[Any]]:
    """A client for commands that read much: patient, and without the log of slow requests."""
    options = connection.get_connection_params()
    options |= {"socketTimeoutMS": _PATIENCE_MS, "minPoolSize": 0, "event_listeners": []}
    with MongoClient(**options) as client:
        yield client


def sizes() -> tuple[int, int]:
    """Bytes of the database's data, and of its indexes; some servers count them one by one."""
    with patient_client() as client:
        told = client[connection.settings_dict["NAME"]].command("dbStats")
    return int(told["dataSize"]), int(told["indexSize"])


def projects() -> int:
    """About how many projects there are."""
    with patient_client() as client:
        return client[connection.settings_dict["NAME"]]["projects"].estimated_document_count()


@contextmanager
def moment(client: MongoClient[Any]) -> Iterator[ClientSession]:
    """A session whose reads all see what was stored at one moment, after it began.

    A transaction, which the server ends after its `transactionLifetimeLimitSeconds`: snapshot
    sessions live longer on MongoDB, but there are servers that take them and don't keep the
    promise. It is committed by a majority, which proves that what was read is, too. Raises
    PyMongoError (see `is_over`).
    """
    with client.start_session() as session:
        session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
        yield session
        session.commit_transaction()


def is_over(error: PyMongoError) -> bool:
    """Whether a moment is too long ago for the server, so that another one may do."""
    return getattr(error, "code", None) in _TOO_OLD or error.has_error_label(
        "TransientTransactionError"
    )
