"""The claims of a token with a valid signature: which ones are checked, and what the rejection says."""

from typing import Any

import pytest

from mylist.auth.key_source import KeySource
from mylist.auth.keys import key_of_secret
from mylist.auth.tokens import Tokens
from mylist.config.settings import Settings
from mylist.domain.errors import InvalidTokenError
from tests.identity_provider import SECRET, raw_token

LATER = 4_000_000_000
ISSUER = "https://login.example/"
SLASH = "they differ by a trailing slash"


def user_of(claims: Any, **settings: Any) -> str:
    return Tokens(KeySource((key_of_secret(SECRET),)), Settings(**settings)).user_of(raw_token(claims))


def refusal(claims: Any, **settings: Any) -> str:
    with pytest.raises(InvalidTokenError) as refused:
        user_of(claims, **settings)
    assert refused.value.headers["www-authenticate"].encode("ascii").count(b'"') == 6, "it stays a quoted string"
    return refused.value.message


@pytest.mark.parametrize(
    "others",
    [
        {"sub": None, "jti": 7},
        {"sub": 42},
        {"sub": ["a"]},
        {"sub": {"a": "b"}},
        {"sub": True},
        {"jti": None},
        {"jti": {"a": 1}},
        {"jti": 1.5},
        {"iat": None},
        {"iat": "yesterday"},
        {"iat": [1]},
        {"iat": False},
        {"nbf": None},
        {"iss": 5, "aud": 5},
        {"aud": [5, None]},
        {"iss": None, "aud": None},
    ],
    ids=str,
)
def test_claims_that_the_service_does_not_use_are_not_validated(others: dict[str, Any]) -> None:
    assert user_of({"uid": "u", "exp": LATER} | others, jwt_user_claim="uid") == "u"


@pytest.mark.parametrize(
    ("given", "user_id"), [(42, "42"), (0, "0"), (-7, "-7"), (10**30, "1" + "0" * 30), ("42", "42")]
)
def test_an_integer_user_claim_becomes_its_decimal_digits(given: object, user_id: str) -> None:
    assert user_of({"sub": given, "exp": LATER}) == user_id


@pytest.mark.parametrize("given", [True, False, 42.0, 1.5, [42], {"id": 42}, None, "", "two words", "x" * 129, 10**128])
def test_an_invalid_user_claim_is_rejected(given: object) -> None:
    why = refusal({"uid": given, "exp": LATER}, jwt_user_claim="uid")
    assert why == "The token names no valid user: the claim 'uid' must be a user id"


class TestProfile:
    SETTINGS: dict[str, Any] = {"jwt_profile_claim": "profile"}  # noqa: RUF012 - never changed

    @pytest.mark.parametrize(
        ("account", "profile", "user_id"),
        [("ada", "kids", "ada/kids"), (42, 7, "42/7"), ("auth0|4711", "=", "auth0|4711/="), ("a" * 63, "b" * 64, None)],
    )
    def test_follows_the_account_in_the_user_id(self, account: object, profile: object, user_id: str | None) -> None:
        claims = {"sub": account, "profile": profile, "exp": LATER}
        assert user_of(claims, **self.SETTINGS) == (user_id or f"{account}/{profile}")

    @pytest.mark.parametrize("given", [None, "", "a/b", "/", "two words", True, 1.5, ["a"], "x" * 129])
    @pytest.mark.parametrize("claim", ["sub", "profile"])
    def test_with_an_invalid_claim_is_rejected(self, claim: str, given: object) -> None:
        why = refusal({"sub": "ada", "profile": "kids", "exp": LATER, claim: given}, **self.SETTINGS)
        assert why == (
            f"The token names no valid profile: the claim '{claim}' must have the characters of a user id, and no slash"
        )

    def test_is_rejected_if_it_and_its_account_are_too_long_for_a_user_id(self) -> None:
        why = refusal({"sub": "a" * 64, "profile": "b" * 64, "exp": LATER}, **self.SETTINGS)
        assert why == "The token names no valid profile: account and profile have too many characters"

    def test_is_required(self) -> None:
        assert "'profile'" in refusal({"sub": "ada", "exp": LATER}, **self.SETTINGS)

    def test_may_be_in_the_same_claim_as_the_account(self) -> None:
        assert user_of({"sub": "ada/kids", "exp": LATER}) == "ada/kids"


@pytest.mark.parametrize("exp", [LATER, float(LATER), LATER + 0.5, str(LATER), 10**300, 10**400, 1e300])
def test_exp_may_be_a_number_or_a_string_of_digits(exp: object) -> None:
    assert user_of({"sub": "u", "exp": exp}) == "u"


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("given", ["tomorrow", "", "1e9", "٣", [LATER], {}, True, float("inf"), float("nan")])
def test_a_time_claim_that_is_not_a_number_of_seconds_is_rejected(claim: str, given: object) -> None:
    why = refusal({"sub": "u", "exp": LATER, claim: given})
    assert why == f"The claim {claim} must be a number of seconds since 1970"


@pytest.mark.parametrize("exp", [None, "absent"])
def test_exp_is_required(exp: object) -> None:
    claims = {"sub": "u"} | ({"exp": None} if exp is None else {})
    assert refusal(claims) == "The token lacks the claim exp"


@pytest.mark.parametrize("exp", [1, 0, -(10**400), -1e300, "1"])
def test_an_expired_token_is_rejected(exp: object) -> None:
    assert refusal({"sub": "u", "exp": exp}) == "The token has expired: the claim exp is in the past"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize("given", [LATER, float(LATER), str(LATER), 10**400])
def test_a_token_from_the_future_is_rejected(claim: str, given: object) -> None:
    why = refusal({"sub": "u", "exp": LATER, claim: given})
    assert why == f"The token is not valid yet: the claim {claim} is in the future"


@pytest.mark.parametrize("aud", ["api", ["api"], [5, "api"], [None, ["api"], "api"], ["other", {"a": 1}, "web"]])
def test_one_accepted_audience_is_enough(aud: object) -> None:
    assert user_of({"sub": "u", "exp": LATER, "aud": aud}, jwt_audience="api,web") == "u"


@pytest.mark.parametrize(
    ("aud", "why"),
    [
        (None, "The token lacks the claim aud, expected 'api' or 'web'"),
        ("ap", "The token is for another audience: the claim aud is 'ap', expected 'api' or 'web'"),
        ("api,web", "The token is for another audience: the claim aud is 'api,web', expected 'api' or 'web'"),
        (5, "The token is for another audience: the claim aud is a number, expected 'api' or 'web'"),
        ([], "The token is for another audience: the claim aud is an empty list, expected 'api' or 'web'"),
        (["a", ["api"]], "The token is for another audience: the claim aud is 'a', a list, expected 'api' or 'web'"),
    ],
)
def test_a_token_for_another_audience_is_rejected_with_the_expected_ones(aud: object, why: str) -> None:
    assert refusal({"sub": "u", "exp": LATER, "aud": aud}, jwt_audience="api, web") == why


def test_a_long_list_of_audiences_is_truncated_in_the_message() -> None:
    why = refusal({"sub": "u", "exp": LATER, "aud": ["x" * 1000] * 1000}, jwt_audience="api")
    assert why.count("'x") == 5
    assert ", ..., expected 'api'" in why
    assert len(why) < 700


@pytest.mark.parametrize("iss", [ISSUER, "https://other.example"])
def test_any_configured_issuer_is_accepted(iss: str) -> None:
    assert user_of({"sub": "u", "exp": LATER, "iss": iss}, jwt_issuer=f"{ISSUER}, https://other.example") == "u"


@pytest.mark.parametrize(
    ("iss", "expected", "why"),
    [
        (None, ISSUER, f"The token lacks the claim iss, expected '{ISSUER}'"),
        ("b", "a,c", "The token is from another issuer: the claim iss is 'b', expected 'a' or 'c'"),
        (["a"], "a", "The token is from another issuer: the claim iss is a list, expected 'a'"),
        ("A", "a", "The token is from another issuer: the claim iss is 'A', expected 'a'"),
        (
            ISSUER[:-1],
            ISSUER,
            f"The token is from another issuer: the claim iss is '{ISSUER[:-1]}', expected '{ISSUER}'; " + SLASH,
        ),
        (
            ISSUER,
            ISSUER[:-1],
            f"The token is from another issuer: the claim iss is '{ISSUER}', expected '{ISSUER[:-1]}'; " + SLASH,
        ),
    ],
)
def test_a_token_from_another_issuer_is_rejected_with_the_expected_ones(iss: object, expected: str, why: str) -> None:
    assert refusal({"sub": "u", "exp": LATER, "iss": iss}, jwt_issuer=expected) == why


@pytest.mark.parametrize("iss", ['a"b\\c', "a\r\nx: y", "\x1b[2J", "zoë", "\u202e", "x" * 10_000])
def test_a_claim_quoted_in_a_message_is_short_and_printable(iss: str) -> None:
    why = refusal({"sub": "u", "exp": LATER, "iss": iss}, jwt_issuer="a")
    assert len(why) < 250
    assert why.isascii()
    assert why.isprintable()
    assert not set('"\\') & set(why)


@pytest.mark.parametrize("claim", ['user"', "benutzer-für", "x" * 1000])
def test_the_refusal_header_is_valid_whatever_the_user_claim_is_called(claim: str) -> None:
    assert "names no valid user" in refusal({"exp": LATER}, jwt_user_claim=claim)


@pytest.mark.parametrize("claims", [[], "text", 5, None])
def test_claims_that_are_not_an_object_are_rejected(claims: object) -> None:
    assert refusal(claims) == "The token is malformed"
