"""ETags and how headers compare them (RFC 9110, section 8.8.3)."""

from xxhash import xxh3_64_hexdigest


def etag_of(body: bytes) -> str:
    """Return the strong ETag of a body."""
    return f'"{xxh3_64_hexdigest(body)}"'


def matches_strongly(if_match: str, *etags: str) -> bool:
    """Return whether an `If-Match` header names one of some ETags, by strong comparison: a weak one never matches."""
    return any(candidate.strip() in (*etags, "*") for candidate in if_match.split(","))


def matches_weakly(if_none_match: str, etag: str) -> bool:
    """Return whether an `If-None-Match` header names an ETag, by weak comparison."""
    if if_none_match == etag:  # as most clients send it
        return True
    candidates = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in (etag, "*") for candidate in candidates)
