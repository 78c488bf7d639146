"""Which keys of a JSON Web Key Set verify tokens, and by which algorithms."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from mylist.auth.keys import Key, key_of_pem, keys_of_jwks
from mylist.config.public_key import UnusableKeyError
from tests.identity_provider import EC_KEY, RSA_KEY, jwk, pem

RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it must be refused
OTHER_CURVE = ec.generate_private_key(ec.SECP256K1())


def keys(*published: Any) -> tuple[Key, ...]:
    return keys_of_jwks(json.dumps({"keys": published}).encode())


UNUSABLE = {
    "shared secret": {"kty": "oct", "k": "AAAA"},
    "shared secret without the secret": {"kty": "oct"},
    "for encryption": jwk(RSA_KEY, None, use="enc"),
    "algorithm of another kind of key": jwk(RSA_KEY, None, alg="ES256"),
    "algorithm that is not accepted": jwk(RSA_KEY, None, alg="PS256"),
    "algorithm that is no text": jwk(RSA_KEY, None, alg=["RS256"]),
    "modulus that is no text": jwk(RSA_KEY, None, n=5),
    "modulus that is no number": jwk(RSA_KEY, None, n="!"),
    "name that is no text": jwk(RSA_KEY, None, kid=7),
    "too short": jwk(SHORT_KEY, None),
    "curve that is not accepted": jwk(OTHER_CURVE, None),
    "curve that is no text": jwk(EC_KEY, None, crv=["P-256"]),
    "point that is not on the curve": jwk(EC_KEY, None, x="A" * 43),
    "kind that is no text": {"kty": ["RSA"]},
    "no kind": {"kid": "nothing"},
    "text": "no key",
    "null": None,
}


@pytest.mark.parametrize("published", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_be_used_is_left_out_alone(published: Any) -> None:
    [key] = keys(published, jwk(EC_KEY, "good"))

    assert (key.key_id, key.algorithms) == ("good", ("ES256",))


def test_the_algorithms_are_those_of_the_key_unless_it_names_one() -> None:
    several, narrow = keys(jwk(RSA_KEY, "several"), jwk(RSA_KEY, "narrow", alg="RS256"))

    assert several.algorithms == RSA_ALGORITHMS
    assert narrow.algorithms == ("RS256",)


def test_only_the_public_part_of_a_private_key_is_read() -> None:
    [key] = keys(RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True))

    assert isinstance(key.material, RSAPublicKey)


def test_a_set_without_a_usable_key_is_refused() -> None:
    with pytest.raises(UnusableKeyError, match="no key that can be used"):
        keys({"kty": "oct", "k": "AAAA"})


@pytest.mark.parametrize(("key", "algorithms"), [(RSA_KEY, RSA_ALGORITHMS), (EC_KEY, ("ES256",))], ids=["RSA", "P-256"])
def test_a_key_as_pem_has_the_algorithms_of_its_kind(key: Any, algorithms: tuple[str, ...]) -> None:
    assert key_of_pem(pem(key)).algorithms == algorithms


@pytest.mark.parametrize("key", [SHORT_KEY, OTHER_CURVE], ids=["short", "other curve"])
def test_a_key_as_pem_of_another_kind_is_refused(key: Any) -> None:
    with pytest.raises(UnusableKeyError):
        key_of_pem(pem(key))
