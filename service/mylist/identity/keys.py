"""The keys that tokens are verified with, and the algorithms that each may be used for.

The algorithms follow from the key, never from a token: otherwise whoever has a public key could sign with it as if it
were a shared secret.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from msgspec import Struct

_LEAST_RSA_BITS = 2048
_OF_RSA = ("RS256", "RS384", "RS512")
_OF_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


class UnusableKeyError(ValueError):
    """A key, or a set of them, cannot be used; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class Key:
    """What verifies a signature, by which algorithms, and under which name tokens refer to it, if it has one."""

    material: RSAPublicKey | EllipticCurvePublicKey | bytes
    algorithms: tuple[str, ...]
    key_id: str | None = None

    def fits(self, key_id: object, algorithm: object) -> bool:
        """Says whether a token whose header names this key and algorithm may be verified with it."""
        return algorithm in self.algorithms and (None in (key_id, self.key_id) or key_id == self.key_id)


class KeySource:
    """Where keys come from; this one has them from the beginning.

    Attributes:
        keys: those in force; another tuple whenever they change.
    """

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self.keys = keys

    async def keep_fresh(self) -> None:
        """Looks for other keys again and again, where there may be others."""

    async def renew(self) -> bool:
        """Looks for other keys because a token names one that is not known; says whether there are."""
        return False

    async def close(self) -> None:
        """Ends what is under way."""


def key_of_secret(secret: str) -> Key:
    """Makes the key of a shared secret, as its UTF-8."""
    return Key(secret.encode(), ("HS256",))


def key_of_pem(pem: str) -> Key:
    """Reads a public key.

    Raises:
        UnusableKeyError: it is none, of another kind, or too short.
    """
    try:
        return _key_of(load_pem_public_key(pem.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("no public key of a kind that is accepted") from None


class _JsonWebKey(Struct):
    """What is read of a key; of a private one no more than is public."""

    kty: str
    use: str = "sig"
    kid: str | None = None
    alg: str | None = None
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _JsonWebKeySet(Struct):
    keys: list[Any]


def keys_of_jwks(body: bytes) -> tuple[Key, ...]:
    """Reads a JSON Web Key Set (RFC 7517); keys that no signature is verified with are left out.

    Raises:
        UnusableKeyError: it is no set, or none of its keys can be used.
    """
    try:
        found = msgspec.json.decode(body, type=_JsonWebKeySet).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnusableKeyError("the answer is no JSON Web Key Set") from None
    keys = tuple(key for each in found if (key := _key_of_jwk(each)))
    if not keys:
        raise UnusableKeyError("the answer has no key that can be used")
    return keys


def _key_of_jwk(given: object) -> Key | None:
    try:
        jwk = msgspec.convert(given, _JsonWebKey)
        if jwk.use != "sig" or jwk.kty not in {"RSA", "EC"}:  # a shared secret would be known to everybody
            return None
        numbers = {name: getattr(jwk, name) for name in ("kty", "n", "e", "crv", "x", "y") if getattr(jwk, name)}
        key = _key_of(PyJWK(numbers).key)
    except (msgspec.ValidationError, PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    if jwk.alg is None:
        return Key(key.material, key.algorithms, jwk.kid)
    return Key(key.material, (jwk.alg,), jwk.kid) if jwk.alg in key.algorithms else None


def _key_of(material: object) -> Key:
    if isinstance(material, RSAPublicKey) and material.key_size >= _LEAST_RSA_BITS:
        return Key(material, _OF_RSA)
    if isinstance(material, EllipticCurvePublicKey) and material.curve.name in _OF_CURVES:
        return Key(material, _OF_CURVES[material.curve.name])
    raise UnusableKeyError("a kind of key that is not accepted")
