"""ETags: what a client says it has, and whether that is what it would get."""

from xxhash import xxh3_64_hexdigest


def etag_of(body: bytes) -> str:
    """Gives the strong ETag of a body."""
    return f'"{xxh3_64_hexdigest(body)}"'


def is_current(if_match: str, *etags: str) -> bool:
    """Says whether the value of an `If-Match` header names one of some ETags, which has to be a strong one."""
    return any(candidate.strip() in (*etags, "*") for candidate in if_match.split(","))


def matches(if_none_match: str, etag: str) -> bool:
    """Says whether the value of an `If-None-Match` header names an ETag."""
    if if_none_match == etag:  # as most clients send it
        return True
    candidates = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in (etag, "*") for candidate in candidates)
