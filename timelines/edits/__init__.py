"""Edits of a timeline by id: what they are, how they are read, applied and told in words."""

from timelines.edits.applying import apply
from timelines.edits.operations import MAX_EDITS, Edit, Edits
from timelines.edits.reading import decode
from timelines.edits.words import describe

__all__ = ["MAX_EDITS", "Edit", "Edits", "apply", "decode", "describe"]
