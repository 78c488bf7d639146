"""Public keys that may verify tokens: parsing, and the accepted kinds.

`cryptography` is imported by the functions: it is large, and most processes have no such key.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MIN_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The accepted curves by their names in SEC 2; JSON Web Keys call them P-256, P-384 and P-521."""


class UnusableKeyError(ValueError):
    """A key, or a set of keys, cannot be used; the message never repeats it."""


def read_pem(pem: str) -> "PublicKey":
    """Return the public key in a PEM document.

    Raises:
        UnusableKeyError: the document has no public key, or the key is of another kind or too short.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see the module's docstring
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        return accepted(load_pem_public_key(pem.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("it is not a public key of an accepted kind") from None


def accepted(key: object) -> "PublicKey":
    """Check that a key is of an accepted kind; return it.

    Raises:
        UnusableKeyError: the key is of another kind, or too short.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415 - see the module's docstring
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in CURVES:
        return key
    raise UnusableKeyError("its kind of key is not accepted")
