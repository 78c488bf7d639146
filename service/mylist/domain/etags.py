"""ETags and how headers compare them (RFC 9110, section 8.8.3)."""

import re

from xxhash import xxh3_64_hexdigest

# The suffix that a compressing proxy appends to an ETag, inside its quotes.
_CODING = re.compile(r'[-;:.+]{1,2}(?:x-)?(?:gzip|br|zstd|deflate|compress|df)"$', re.IGNORECASE)


def etag_of(body: bytes) -> str:
    """Return the strong ETag of a body."""
    return f'"{xxh3_64_hexdigest(body)}"'


def names_etag(header: str, etag: str) -> bool:
    """Return whether an `If-Match` or `If-None-Match` header names an ETag.

    Our ETags identify the content, not the bytes into which a proxy encodes it. So weak ETags, and ETags with the name
    of a content coding as suffix, match as well.
    """
    if header == etag:  # the form that most clients send
        return True
    return any(_CODING.sub('"', each.strip().removeprefix("W/")) == etag for each in header.split(","))


def names_etag_or_star(if_none_match: str, etag: str) -> bool:
    """Return whether an `If-None-Match` header says that the client has the body of an ETag."""
    return has_star(if_none_match) or names_etag(if_none_match, etag)


def has_star(header: str) -> bool:
    """Return whether a header contains `*`, which matches any ETag."""
    return any(each.strip() == "*" for each in header.split(","))
