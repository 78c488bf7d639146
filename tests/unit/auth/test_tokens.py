"""Which key verifies a token, and which tokens are remembered.

For an unknown key, the service fetches the keys again, because a newer key may verify the token.
"""

import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mylist.auth import tokens as module
from mylist.auth.key_source import KeySource
from mylist.auth.keys import Key, key_of_pem, key_of_secret
from mylist.auth.tokens import MAX_TRIED_KEYS, Tokens
from mylist.config.settings import Settings
from mylist.domain.errors import InvalidTokenError, KeysUnavailableError, UnknownKeyError
from tests.identity_provider import (
    ANOTHER_RSA_KEY,
    EC_KEY,
    EDWARDS_KEY,
    RSA_KEY,
    SECRET,
    PrivateKey,
    pem,
    token,
)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KeySource((key_of_secret(SECRET),)), Settings())


def users(number: int) -> list[str]:
    return [token(SECRET, "HS256", sub=f"user-{each}") for each in range(number)]


def test_the_memory_for_remembered_tokens_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED_TOKENS", 10)
    given = users(2000)
    for each in given[:100]:
        tokens.user_of(each)
    tracemalloc.start()
    try:
        for each in given[100:]:
            tokens.user_of(each)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert grown < 100_000
    assert [tokens.user_of(each) for each in given[:3]] == ["user-0", "user-1", "user-2"]


def test_a_rejected_token_is_not_remembered(tokens: Tokens) -> None:
    [given] = users(1)
    tokens.source.keys = (key_of_secret("x" * 32),)
    with pytest.raises(InvalidTokenError, match="signature"):
        tokens.user_of(given)
    tokens.source.keys = (key_of_secret(SECRET),)

    assert tokens.user_of(given) == "user-0"
    tokens.source.keys = (key_of_secret("x" * 32),)
    with pytest.raises(InvalidTokenError, match="signature"):
        tokens.user_of(given)


def named(key: PrivateKey, key_id: str | None) -> Key:
    material = key_of_pem(pem(key))
    return Key(material.material, material.algorithms, key_id)


def verifier(*keys: Key) -> Tokens:
    return Tokens(KeySource(keys), Settings())


CURVE_KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(MAX_TRIED_KEYS + 1)]


@pytest.mark.parametrize("key_id", [None, "same"])
@pytest.mark.parametrize("key", [RSA_KEY, ANOTHER_RSA_KEY], ids=["first", "second"])
def test_every_key_of_the_right_kind_and_key_id_is_tried(key: PrivateKey, key_id: str | None) -> None:
    tokens = verifier(named(RSA_KEY, key_id), named(EC_KEY, key_id), named(ANOTHER_RSA_KEY, key_id))
    assert tokens.user_of(token(key, "RS256", key_id)) == "someone"


def test_keys_with_key_ids_are_tried_for_a_token_without_one() -> None:
    tokens = verifier(named(RSA_KEY, "one"), named(ANOTHER_RSA_KEY, "two"))
    assert [tokens.user_of(token(key, "RS256")) for key in (RSA_KEY, ANOTHER_RSA_KEY)] == ["someone", "someone"]


def test_keys_with_the_tokens_key_id_are_tried_before_keys_without_one() -> None:
    nameless = [named(key, None) for key in CURVE_KEYS]
    tokens = verifier(*nameless, named(EC_KEY, "named"))
    assert tokens.user_of(token(EC_KEY, "ES256", "named")) == "someone"


def test_the_number_of_keys_tried_is_limited() -> None:
    tokens = verifier(*(named(key, "same") for key in CURVE_KEYS))
    assert tokens.user_of(token(CURVE_KEYS[MAX_TRIED_KEYS - 1], "ES256", "same")) == "someone"
    with pytest.raises(InvalidTokenError, match="signature"):
        tokens.user_of(token(CURVE_KEYS[MAX_TRIED_KEYS], "ES256", "same"))


def test_a_key_with_another_key_id_is_not_tried() -> None:
    with pytest.raises(UnknownKeyError, match="not known"):
        verifier(named(RSA_KEY, "one")).user_of(token(RSA_KEY, "RS256", "two"))


@pytest.mark.parametrize("algorithm", ["PS256", "PS384", "PS512", "RS384"])
def test_an_rsa_key_verifies_signatures_with_either_padding(algorithm: str) -> None:
    assert verifier(named(RSA_KEY, "one")).user_of(token(RSA_KEY, algorithm, "one")) == "someone"


def test_an_ed25519_key_verifies_an_eddsa_token() -> None:
    assert verifier(named(EDWARDS_KEY, "one")).user_of(token(EDWARDS_KEY, "EdDSA", "one")) == "someone"


@pytest.mark.parametrize("algorithm", ["PS256", "RS512"])
def test_an_algorithm_that_the_named_key_excludes_does_not_raise_unknown_key_error(algorithm: str) -> None:
    narrow = Key(named(RSA_KEY, None).material, ("RS256",), "one")
    with pytest.raises(InvalidTokenError, match=r"algorithm that is not accepted, expected RS256$") as refused:
        verifier(narrow, named(EC_KEY, "two")).user_of(token(RSA_KEY, algorithm, "one"))
    assert not isinstance(refused.value, UnknownKeyError)


@pytest.mark.parametrize("key_id", [None, "one", "unknown"])
def test_a_symmetric_algorithm_with_public_keys_does_not_raise_unknown_key_error(key_id: str | None) -> None:
    with pytest.raises(InvalidTokenError, match=r"algorithm that is not accepted, expected ES256$") as refused:
        verifier(named(EC_KEY, "one")).user_of(token(SECRET, "HS256", key_id))
    assert not isinstance(refused.value, UnknownKeyError)


def test_an_algorithm_without_any_key_of_its_kind_raises_unknown_key_error() -> None:
    with pytest.raises(UnknownKeyError, match=r"expected ES256$"):
        verifier(named(EC_KEY, "one")).user_of(token(RSA_KEY, "RS256"))


def test_a_wrong_signature_for_a_known_key_id_does_not_raise_unknown_key_error() -> None:
    with pytest.raises(InvalidTokenError, match="signature") as refused:
        verifier(named(RSA_KEY, "one")).user_of(token(ANOTHER_RSA_KEY, "RS256", "one"))
    assert not isinstance(refused.value, UnknownKeyError)


def test_a_token_without_a_key_id_raises_unknown_key_error_if_no_key_verifies_it() -> None:
    with pytest.raises(UnknownKeyError, match="signature"):
        verifier(named(RSA_KEY, "one")).user_of(token(ANOTHER_RSA_KEY, "RS256"))


def test_without_keys_a_well_formed_token_raises_keys_unavailable() -> None:
    with pytest.raises(KeysUnavailableError):
        verifier().user_of(token(RSA_KEY, "RS256"))
    with pytest.raises(InvalidTokenError, match="malformed"):
        verifier().user_of("nonsense")
