"""What the service gives out to get back: opaque, and refused when it was damaged or is not for this question.

Nothing in them is secret and nothing that they say gives a right, so they carry a checksum, not a signature.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from xxhash import xxh3_64_digest

_CHECKSUM_SIZE = 8
_LONGEST = 8192


def seal(content: bytes, *bound_to: str) -> str:
    """Writes some bytes as text for a URL, bound to what the question was."""
    return urlsafe_b64encode(_checksum(content, bound_to) + content).rstrip(b"=").decode()


def unseal(text: str, *bound_to: str) -> bytes | None:
    """Gives back the bytes; None when the text is damaged or was bound to something else."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    try:
        sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    content = sealed[_CHECKSUM_SIZE:]
    # Written the one way that it is given out: base64 has bits to spare, and passes over what is no digit of it.
    return content if seal(content, *bound_to) == text else None


def _checksum(content: bytes, bound_to: tuple[str, ...]) -> bytes:
    return xxh3_64_digest("\0".join((*bound_to, "")).encode() + content)
