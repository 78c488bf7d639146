"""Opaque tokens: state that a client keeps for the service and sends back, such as a cursor.

A token holds no secret and grants no rights. So it carries a checksum, which anyone can compute, and no signature. The
checksum also covers the purpose of the token, so that a damaged token, or one of another user or query, is refused.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from xxhash import xxh3_64_digest

_CHECKSUM_BYTES = 8
_MAX_TOKEN_LENGTH = 8192


def encode_token(content: bytes, *bound_to: str) -> str:
    """Return a token for `content`, as text for a URL, bound to its context: purpose, user, query."""
    return urlsafe_b64encode(_checksum(content, bound_to) + content).rstrip(b"=").decode()


def decode_token(text: str, *bound_to: str) -> bytes | None:
    """Return the content of a token; None if the token is damaged or bound to something else."""
    if len(text) > _MAX_TOKEN_LENGTH or not text.isascii():
        return None
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    content = decoded[_CHECKSUM_BYTES:]
    # Accept the canonical form only: base64 has spare bits, and the decoder skips characters outside its alphabet.
    return content if encode_token(content, *bound_to) == text else None


def _checksum(content: bytes, bound_to: tuple[str, ...]) -> bytes:
    return xxh3_64_digest("\0".join((*bound_to, "")).encode() + content)
