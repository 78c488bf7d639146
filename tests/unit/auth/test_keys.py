"""Which keys of a JSON Web Key Set verify tokens, and with which algorithms."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from mylist.auth.keys import Key, key_of_pem, keys_of_jwks
from mylist.config.public_key import UnusableKeyError
from tests.identity_provider import EC_KEY, EDWARDS_KEY, RSA_KEY, jwk, pem

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it must be refused
OTHER_CURVE = ec.generate_private_key(ec.SECP256K1())


def keys(*published: Any) -> tuple[Key, ...]:
    return keys_of_jwks(json.dumps({"keys": published}).encode())


UNUSABLE = {
    "shared secret": {"kty": "oct", "k": "AAAA"},
    "shared secret without the secret": {"kty": "oct"},
    "for encryption": jwk(RSA_KEY, None, use="enc"),
    "algorithm of another kind of key": jwk(RSA_KEY, None, alg="ES256"),
    "for wrapping keys": jwk(RSA_KEY, None, key_ops=["wrapKey", "unwrapKey"]),
    "for deriving": jwk(RSA_KEY, None, key_ops=["deriveKey"]),
    "for nothing": jwk(RSA_KEY, None, key_ops=[]),
    "operations that are no list": jwk(RSA_KEY, None, key_ops="verify"),
    "for another use": jwk(RSA_KEY, None, use="tls"),
    "algorithm that is not accepted": jwk(RSA_KEY, None, alg="RSA-OAEP"),
    "algorithm of a shared secret": jwk(RSA_KEY, None, alg="HS256"),
    "key for agreement": {"kty": "OKP", "crv": "X25519", "x": jwk(EDWARDS_KEY, None)["x"]},
    "point of Edwards that is none": jwk(EDWARDS_KEY, None, x="AA"),
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
def test_an_unusable_key_is_skipped_and_the_others_are_kept(published: Any) -> None:
    [key] = keys(published, jwk(EC_KEY, "good"))

    assert (key.key_id, key.algorithms) == ("good", ("ES256",))


def test_a_key_accepts_all_algorithms_of_its_kind_unless_it_names_one() -> None:
    several, narrow = keys(jwk(RSA_KEY, "several"), jwk(RSA_KEY, "narrow", alg="RS256"))

    assert several.algorithms == RSA_ALGORITHMS
    assert narrow.algorithms == ("RS256",)


@pytest.mark.parametrize(
    "fields",
    [{"use": None}, {"alg": None}, {"key_ops": None}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}],
    ids=str,
)
def test_null_fields_and_key_ops_with_verify_do_not_exclude_a_key(fields: dict[str, Any]) -> None:
    [key] = keys(jwk(RSA_KEY, "good", **fields))

    assert (key.key_id, key.algorithms) == ("good", RSA_ALGORITHMS)


def test_keys_for_pss_and_eddsa_are_accepted() -> None:
    padded, edwards = keys(jwk(RSA_KEY, "PSS", alg="PS384"), jwk(EDWARDS_KEY, "Ed25519"))

    assert padded.algorithms == ("PS384",)
    assert edwards.algorithms == ("EdDSA",)


def test_only_the_public_part_of_a_private_key_is_read() -> None:
    [key] = keys(RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True))

    assert isinstance(key.material, RSAPublicKey)


def test_a_set_without_a_usable_key_is_refused() -> None:
    with pytest.raises(UnusableKeyError, match=r"no key that can be used, only oct$"):
        keys({"kty": "oct", "k": "AAAA"})


@pytest.mark.parametrize(
    ("published", "named"),
    [
        ([], "used"),
        ([{"kty": "OKP", "crv": "X25519", "x": "AA"}, jwk(RSA_KEY, None, use="enc")], "only OKP X25519, RSA enc"),
        ([{"kty": "\x1b[2J" * 9}, "text", None], "only a key without a kind, an element that is not a key"),
        ([{"kty": f"kind-{number}"} for number in range(9)], "only kind-0, kind-1, kind-2, kind-3, kind-4, and others"),
    ],
)
def test_the_refusal_of_a_set_lists_the_kinds_of_its_keys(published: list[Any], named: str) -> None:
    with pytest.raises(UnusableKeyError, match=f"{named}$"):
        keys(*published)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA_KEY, RSA_ALGORITHMS), (EC_KEY, ("ES256",)), (EDWARDS_KEY, ("EdDSA",))],
    ids=["RSA", "P-256", "Ed25519"],
)
def test_a_pem_key_accepts_the_algorithms_of_its_kind(key: Any, algorithms: tuple[str, ...]) -> None:
    assert key_of_pem(pem(key)).algorithms == algorithms


@pytest.mark.parametrize("key", [SHORT_KEY, OTHER_CURVE], ids=["short", "other curve"])
def test_a_pem_key_that_is_too_short_or_on_another_curve_is_refused(key: Any) -> None:
    with pytest.raises(UnusableKeyError):
        key_of_pem(pem(key))
