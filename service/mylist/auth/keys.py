"""The keys that tokens are verified with, and the algorithms that each may be used for.

The algorithms follow from the key, never from a token. Otherwise anybody who has a public key could sign with it as if
it were a shared secret.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from msgspec import Struct

from mylist.config.public_key import UnusableKeyError, accepted, read_pem

_RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
_CURVE_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies signatures.

    Attributes:
        material: the key itself.
        algorithms: those that it may be used for.
        key_id: the name by which tokens refer to it, if it has one.
    """

    material: RSAPublicKey | EllipticCurvePublicKey | bytes
    algorithms: tuple[str, ...]
    key_id: str | None = None

    def fits(self, key_id: object, algorithm: object) -> bool:
        """Return whether a token whose header names this key id and algorithm may be verified with the key."""
        return algorithm in self.algorithms and (None in (key_id, self.key_id) or key_id == self.key_id)


def key_of_secret(secret: str) -> Key:
    """Return the key of a shared secret: its UTF-8."""
    return Key(secret.encode(), ("HS256",))


def key_of_pem(pem: str) -> Key:
    """Return the key of a public key as PEM.

    Raises:
        UnusableKeyError: as `mylist.config.public_key.read_pem`.
    """
    return _key_of(read_pem(pem))


class _JsonWebKey(Struct):
    """The members of a JSON Web Key that are read; of a private key these are its public part."""

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
    """Return the keys of a JSON Web Key Set (RFC 7517) that verify signatures; all others are left out.

    PyJWT's `PyJWKSet` is not used: one malformed key makes it refuse the whole set, it reads private keys as such, and
    it does not tell whether a key names its algorithm.

    Raises:
        UnusableKeyError: the body is no set, or none of its keys can be used.
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
        if jwk.use != "sig" or jwk.kty not in {"RSA", "EC"}:  # a published shared secret is no secret
            return None
        numbers = {name: getattr(jwk, name) for name in ("kty", "n", "e", "crv", "x", "y") if getattr(jwk, name)}
        key = _key_of(accepted(PyJWK(numbers).key))
    except (msgspec.ValidationError, PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    if jwk.alg is None:
        return Key(key.material, key.algorithms, jwk.kid)
    return Key(key.material, (jwk.alg,), jwk.kid) if jwk.alg in key.algorithms else None


def _key_of(material: RSAPublicKey | EllipticCurvePublicKey) -> Key:
    if isinstance(material, RSAPublicKey):
        return Key(material, _RSA_ALGORITHMS)
    return Key(material, _CURVE_ALGORITHMS[material.curve.name])
