"""The models that every app shares, where Django looks for them."""

from snipix.accounts import Token
from snipix.audit import AuditEntry
from snipix.checkpoints import Checkpoint
from snipix.history import Revision
from snipix.idempotency import KeptAnswer
from snipix.pieces import Piece

__all__ = ["AuditEntry", "Checkpoint", "KeptAnswer", "Piece", "Revision", "Token"]
