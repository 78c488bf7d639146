"""Checks the claims of a token whose signature was verified.

The service ignores claims that it does not use, and accepts any value in them. Some providers put numbers, lists or
null into claims that are text by RFC 7519, section 4.1. A claim that is null counts as absent.

A refusal names the claim and the expected value. It is also sent in a header, so any part of a claim that it quotes is
short and printable ASCII.
"""

import math
import re
from collections.abc import Mapping

from mylist.domain.errors import InvalidTokenError
from mylist.domain.user_id import PROFILE_SEPARATOR, USER_ID

MAX_SHOWN_CHARACTERS = 100
_MAX_SHOWN_AUDIENCES = 5
_MAX_MOMENT_S = 2**53
"""Up to here a float represents every whole second exactly; any later time counts as never."""
_SECONDS = re.compile(r"[0-9]{1,16}", re.ASCII)
# Characters that need no escape in a quoted string of the header (RFC 6750, section 3).
_UNPRINTABLE = re.compile(r"[^ !#-\[\]-~]")
Claims = Mapping[str, object]


def user_of(claims: Claims, name: str, profile_name: str = "") -> str:
    """Return the user in a claim: its text, or a whole number as decimal digits.

    With `profile_name`, the first claim names the account and the second the profile; the user is `account/profile`.
    Then neither may contain a slash: `a/b` would be an account in one token, and an account with a profile in another.

    Raises:
        InvalidTokenError: a claim is absent, has the wrong type, names no user, or is too long.
    """
    user_id = _text(claims.get(name))
    if not profile_name:
        if not USER_ID.fullmatch(user_id):
            raise InvalidTokenError(f"The token names no valid user: the claim {shown(name)} must be a user id")
        return user_id
    for each, text in ((name, user_id), (profile_name, profile := _text(claims.get(profile_name)))):
        if not USER_ID.fullmatch(text) or PROFILE_SEPARATOR in text:
            raise InvalidTokenError(
                f"The token names no valid profile: the claim {shown(each)} must have the characters of a user id, and "
                "no slash"
            )
    user_id = f"{user_id}{PROFILE_SEPARATOR}{profile}"
    if not USER_ID.fullmatch(user_id):
        raise InvalidTokenError("The token names no valid profile: account and profile have too many characters")
    return user_id


def _text(given: object) -> str:
    """Return the text of a claim, or its decimal digits; empty if it has another type."""
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    return given if isinstance(given, str) else ""


def expiry_of(claims: Claims, *, now: float, leeway: float) -> float:
    """Return the time from which a token is no longer valid, in seconds since 1970; check `nbf` and `iat` too.

    Raises:
        InvalidTokenError: the token is not valid now, or lacks `exp`.
    """
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise InvalidTokenError("The token lacks the claim exp")
    if expires_at + leeway <= now:
        raise InvalidTokenError(expired())
    not_before = _moment(claims, "nbf")
    if not_before is not None and not_before > now + leeway:
        raise InvalidTokenError("The token is not valid yet: the claim nbf is in the future")
    issued_at = _seconds(claims.get("iat"))
    if issued_at is not None and issued_at > now + leeway:
        raise InvalidTokenError("The token is not valid yet: the claim iat is in the future")
    return expires_at + leeway


def expired() -> str:
    """Return the message about a token that has expired."""
    return "The token has expired: the claim exp is in the past"


def check_audience(claims: Claims, accepted: tuple[str, ...]) -> None:
    """Refuse a token without an accepted audience, if audiences are configured.

    Raises:
        InvalidTokenError: the token has no audience, or only others.
    """
    given = claims.get("aud")
    named = given if isinstance(given, list) else [given]
    if not accepted or any(each in accepted for each in named if isinstance(each, str)):
        return
    if given is None:
        raise InvalidTokenError(f"The token lacks the claim aud, expected {_any_of(accepted)}")
    listed = ", ".join(map(shown, named[:_MAX_SHOWN_AUDIENCES])) or "an empty list"
    more = ", ..." if len(named) > _MAX_SHOWN_AUDIENCES else ""
    raise InvalidTokenError(
        f"The token is for another audience: the claim aud is {listed}{more}, expected {_any_of(accepted)}"
    )


def check_issuer(claims: Claims, accepted: tuple[str, ...]) -> None:
    """Refuse a token that no accepted issuer issued, if issuers are configured.

    Raises:
        InvalidTokenError: the token has no issuer, or another one.
    """
    given = claims.get("iss")
    if not accepted or given in accepted:
        return
    if given is None:
        raise InvalidTokenError(f"The token lacks the claim iss, expected {_any_of(accepted)}")
    slashed = isinstance(given, str) and given.rstrip("/") in {each.rstrip("/") for each in accepted}
    hint = "; they differ by a trailing slash" if slashed else ""
    raise InvalidTokenError(
        f"The token is from another issuer: the claim iss is {shown(given)}, expected {_any_of(accepted)}{hint}"
    )


def shown(value: object) -> str:
    """Return a value for messages: a truncated text in quotes, or the type of another value."""
    if not isinstance(value, str):
        return {bool: "a boolean", list: "a list", dict: "an object", type(None): "null"}.get(type(value), "a number")
    cut = value if len(value) <= MAX_SHOWN_CHARACTERS else f"{value[:MAX_SHOWN_CHARACTERS]}..."
    return f"'{_UNPRINTABLE.sub('?', cut)}'"


def _any_of(accepted: tuple[str, ...]) -> str:
    return " or ".join(map(shown, accepted))


def _moment(claims: Claims, name: str) -> float | None:
    given = claims.get(name)
    moment = _seconds(given)
    if moment is None and given is not None:
        raise InvalidTokenError(f"The claim {name} must be a number of seconds since 1970")
    return moment


def _seconds(given: object) -> float | None:
    """Return a time in seconds since 1970; None if the value is not a time. Some providers send the digits as text."""
    if isinstance(given, str) and _SECONDS.fullmatch(given):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    if isinstance(given, float) and not math.isfinite(given):
        return None
    return math.floor(max(min(given, _MAX_MOMENT_S), -_MAX_MOMENT_S))
