"""The models that every app shares, where Django looks for them."""

from snipix.accounts import Token
from snipix.audit import AuditEntry
from snipix.checkpoints import Checkpoint
from snipix.history import Revision
from snipix.idempotency import KeptAnswer

__all__ = ["AuditEntry", "Checkpoint", "KeptAnswer", "Revision", "Token"]
