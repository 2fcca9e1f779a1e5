"""Times as SRT and WebVTT write them: hours, minutes, seconds, milliseconds."""

MAX_HOUR_DIGITS = 9


def milliseconds(hours: str, minutes: str, seconds: str, thousandths: str) -> int:
    """Add up the parts of a time. Very many hours become one of which no part matters."""
    hours = hours.lstrip("0")[:MAX_HOUR_DIGITS] or "0"
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def written(ms: int, point: str) -> str:
    """Write a time with at least two digits for the hours: 00:01:02.500, if `point` is a point."""
    seconds, thousandths = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
