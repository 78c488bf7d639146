"""Tokens to try the service with, signed with the shared secret."""

import time

import jwt

from mylist.config.settings import Settings
from mylist.domain.user_id import PROFILE_SEPARATOR

LIFETIME_S = 12 * 3600


class NoTokenError(Exception):
    """These settings accept no token that this command could create; the message is one line."""


def development_token(settings: Settings, user_id: str, *, lifetime_s: int = LIFETIME_S) -> str:
    """Return a token for a user that these settings accept.

    Raises:
        NoTokenError: JWT_SECRET is not set; or JWT_PROFILE_CLAIM is set and the user is not `account/profile`.
    """
    if not settings.jwt_secret:
        raise NoTokenError(
            "JWT_SECRET is not set, so no token can be signed here; set it with AUTH_MODE=jwt, or have the identity "
            "provider issue one"
        )
    claims: dict[str, object] = {"exp": int(time.time()) + lifetime_s, **_user_claims(settings, user_id)}
    if settings.jwt_audiences:
        claims["aud"] = settings.jwt_audiences[0]
    if settings.jwt_issuers:
        claims["iss"] = settings.jwt_issuers[0]
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256")


def _user_claims(settings: Settings, user_id: str) -> dict[str, str]:
    if not settings.jwt_profile_claim:
        return {settings.jwt_user_claim: user_id}
    account, _, profile = user_id.partition(PROFILE_SEPARATOR)
    if not account or not profile or PROFILE_SEPARATOR in profile:
        raise NoTokenError(f"--user is {user_id!r}; with JWT_PROFILE_CLAIM it must be ACCOUNT/PROFILE")
    return {settings.jwt_user_claim: account, settings.jwt_profile_claim: profile}
