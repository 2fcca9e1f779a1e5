"""Times as Snipix keeps and writes them: UTC, to the millisecond."""

from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime


def now() -> datetime:
    """The time in UTC, cut to the millisecond that MongoDB keeps: what is answered is stored."""
    return cut(datetime.now(UTC))


def cut(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def aware(time: datetime) -> datetime:
    """A naive time is in UTC: MongoDB's are."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def write(time: datetime) -> str:
    """RFC 3339 in UTC with `Z`, to the millisecond."""
    return aware(time).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(text: str) -> datetime:
    """A time as RFC 3339 writes it. Raises ValueError."""
    time = parse_datetime(text)
    if time is None:
        raise ValueError("must be a time as RFC 3339 writes it, as 2026-01-31T12:00:00Z")
    return aware(time)
