"""The keys that verify tokens, and the algorithms that each key allows.

The key determines the algorithms, never the token. Otherwise anyone with a public key could sign with it as if it were
a shared secret.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from msgspec import Struct

from mylist.config.public_key import UnusableKeyError, accepted, read_pem

if TYPE_CHECKING:
    from mylist.config.public_key import PublicKey

_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVE_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_EDWARDS_ALGORITHMS = ("EdDSA",)
PUBLIC_KEY_ALGORITHMS = (*_RSA_ALGORITHMS, *chain(*_CURVE_ALGORITHMS.values()), *_EDWARDS_ALGORITHMS)
"""Every algorithm that any public key allows."""
_KINDS = frozenset({"RSA", "EC", "OKP"})  # a published shared secret is not secret
_SIGNING = frozenset({"verify", "sign"})
"""The operations of a signature key. A private key that was published by mistake has only the second."""
_MAX_NAMED_KINDS = 5
_KIND = re.compile(r"[A-Za-z0-9+_-]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies signatures.

    Attributes:
        material: the key itself.
        algorithms: the algorithms that it allows.
        key_id: the name by which tokens refer to it, if it has one.
    """

    material: "PublicKey | bytes"
    algorithms: tuple[str, ...]
    key_id: str | None = None

    def is_named(self, key_id: object) -> bool:
        """Return whether the key may have signed a token whose header has this key id, or none."""
        return None in (key_id, self.key_id) or key_id == self.key_id


def key_of_secret(secret: str) -> Key:
    """Return the key of a shared secret: its bytes in UTF-8."""
    return Key(secret.encode(), ("HS256",))


def key_of_pem(pem: str) -> Key:
    """Return the key of a public key as PEM.

    Raises:
        UnusableKeyError: as `mylist.config.public_key.read_pem`.
    """
    return _key_of(read_pem(pem))


class _JsonWebKey(Struct):
    """The members of a JSON Web Key that are read. For a private key, these are the public part."""

    kty: str
    use: str | None = None
    key_ops: list[str] | None = None
    kid: str | None = None
    alg: str | None = None
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""

    @property
    def verifies(self) -> bool:
        """Whether the key is for signatures, or does not state its use."""
        return self.use in {None, "sig"} and (self.key_ops is None or not _SIGNING.isdisjoint(self.key_ops))


class _JsonWebKeySet(Struct):
    keys: list[Any]


def keys_of_jwks(body: bytes) -> tuple[Key, ...]:
    """Return the keys of a JSON Web Key Set (RFC 7517) that verify signatures; all others are left out.

    PyJWT's `PyJWKSet` is not used: it refuses the whole set for one malformed key, reads private keys as private, and
    does not report whether a key names its algorithm.

    Raises:
        UnusableKeyError: the body is not a key set, or has no usable key.
    """
    try:
        found = msgspec.json.decode(body, type=_JsonWebKeySet).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnusableKeyError("the answer is not a JSON Web Key Set") from None
    keys = tuple(key for each in found if (key := _key_of_jwk(each)))
    if not keys:
        raise UnusableKeyError(f"the answer has no key that can be used{_named(found)}")
    return keys


def _key_of_jwk(given: object) -> Key | None:
    try:
        jwk = msgspec.convert(given, _JsonWebKey)
        if not jwk.verifies or jwk.kty not in _KINDS:
            return None
        numbers = {name: getattr(jwk, name) for name in ("kty", "n", "e", "crv", "x", "y") if getattr(jwk, name)}
        key = _key_of(accepted(PyJWK(numbers).key))
    except (msgspec.ValidationError, PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    if jwk.alg is None:
        return Key(key.material, key.algorithms, jwk.kid)
    return Key(key.material, (jwk.alg,), jwk.kid) if jwk.alg in key.algorithms else None


def _named(found: Iterable[Any]) -> str:
    """Return the end of a sentence: the kinds of keys that the set has instead."""
    kinds = sorted({_kind_of(each) for each in found})
    more = ", and others" if len(kinds) > _MAX_NAMED_KINDS else ""
    return f", only {', '.join(kinds[:_MAX_NAMED_KINDS])}{more}" if kinds else ""


def _kind_of(given: object) -> str:
    """Return the kind of a published key from its own members, such as `OKP X25519` or `RSA enc`."""
    if not isinstance(given, dict):
        return "an element that is not a key"
    words = [given[name] for name in ("kty", "crv", "alg", "use") if isinstance(given.get(name), str)]
    return " ".join(word for word in words if _KIND.fullmatch(word)) or "a key without a kind"


def _key_of(material: "PublicKey") -> Key:
    if isinstance(material, RSAPublicKey):
        return Key(material, _RSA_ALGORITHMS)
    if isinstance(material, Ed25519PublicKey):
        return Key(material, _EDWARDS_ALGORITHMS)
    return Key(material, _CURVE_ALGORITHMS[material.curve.name])
