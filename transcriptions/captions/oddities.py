"""What is odd in a file that is read all the same, or isn't kept of it."""

from snipix.states import MAX_WARNINGS, StateWarning
from transcriptions.captions.errors import UnreadableCaptions

MAX_ODDITIES = 50_000


class Oddities:
    """Warnings as they are found, of which only the first are kept."""

    def __init__(self) -> None:
        self._first: list[StateWarning] = []
        self._codes: set[str] = set()
        self._count = 0

    def add(self, where: str, code: str, message: str) -> None:
        """Add a warning. Raises UnreadableCaptions for so many that these are no captions."""
        self._codes.add(code)
        self._count += 1
        if self._count > MAX_ODDITIES:
            reason = f"up to here {MAX_ODDITIES:,} things can't be read or kept as they are"
            raise UnreadableCaptions(where, reason, "Check that this is a file of captions.")
        if self._count <= MAX_WARNINGS:
            self._first.append(StateWarning(where, code, message))

    def once(self, where: str, code: str, message: str) -> None:
        """Add what is said once for the whole file."""
        if code not in self._codes:
            self.add(where, code, message)

    def listed(self) -> list[StateWarning]:
        """List the first; a last entry says how many there are, if that isn't all."""
        if self._count <= MAX_WARNINGS:
            return self._first
        message = f"There are {self._count:,} warnings; these are the first {MAX_WARNINGS}."
        return [*self._first, StateWarning("", "more-warnings", message)]
