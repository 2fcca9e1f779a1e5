"""Whether this process was asked to end: then it says so to load balancers, and finishes."""

_is_told = False


def tell() -> None:
    global _is_told
    _is_told = True


def is_told() -> bool:
    return _is_told
