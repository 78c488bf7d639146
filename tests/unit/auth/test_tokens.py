"""Tokens that are remembered: how many, and which are forgotten."""

import tracemalloc

import pytest

from mylist.auth import tokens as module
from mylist.auth.key_source import KeySource
from mylist.auth.keys import key_of_secret
from mylist.auth.tokens import Tokens
from mylist.config.settings import Settings
from mylist.domain.errors import InvalidTokenError
from tests.identity_provider import SECRET, token


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KeySource((key_of_secret(SECRET),)), Settings())


def users(number: int) -> list[str]:
    return [token(SECRET, "HS256", sub=f"user-{each}") for each in range(number)]


def test_only_so_many_are_remembered(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_what_was_refused_is_not_remembered(tokens: Tokens) -> None:
    [given] = users(1)
    tokens.source.keys = (key_of_secret("x" * 32),)
    with pytest.raises(InvalidTokenError, match="signature"):
        tokens.user_of(given)
    tokens.source.keys = (key_of_secret(SECRET),)

    assert tokens.user_of(given) == "user-0"
    tokens.source.keys = (key_of_secret("x" * 32),)
    with pytest.raises(InvalidTokenError, match="signature"):
        tokens.user_of(given)
