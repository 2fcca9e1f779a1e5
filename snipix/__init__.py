"""Snipix: the backend of a web video editor that never loses an edit."""

__version__ = "0.1.0"
