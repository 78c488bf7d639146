"""Tokens to try the service with, signed with the shared secret."""

import time

import jwt

from mylist.config.settings import Settings

LIFETIME_S = 12 * 3600


class NoSecretError(Exception):
    """There is no secret to sign with; the message is one line."""


def development_token(settings: Settings, user_id: str, *, lifetime_s: int = LIFETIME_S) -> str:
    """Return a token that names a user, as these settings accept it.

    Raises:
        NoSecretError: JWT_SECRET is not set.
    """
    if not settings.jwt_secret:
        raise NoSecretError(
            "JWT_SECRET is not set, so no token can be signed here; set it with AUTH_MODE=jwt, or have the identity "
            "provider issue one"
        )
    claims: dict[str, object] = {settings.jwt_user_claim: user_id, "exp": int(time.time()) + lifetime_s}
    if settings.jwt_audiences:
        claims["aud"] = settings.jwt_audiences[0]
    if settings.jwt_issuers:
        claims["iss"] = settings.jwt_issuers[0]
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256")
