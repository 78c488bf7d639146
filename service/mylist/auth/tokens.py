"""Bearer tokens: whether a token is valid, and which user it names."""

import re
import time
from collections import OrderedDict
from hashlib import sha256

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidSubjectError,
    MissingRequiredClaimError,
    PyJWTError,
)

from mylist.auth.key_source import KeySource
from mylist.auth.keys import Key, key_of_pem, key_of_secret
from mylist.auth.remote_keys import RemoteKeys
from mylist.config.settings import Settings
from mylist.domain.errors import InvalidTokenError, UnknownKeyError
from mylist.domain.user_id import USER_ID

MAX_REMEMBERED_TOKENS = 20_000
_FORM = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+")
_MALFORMED = "The token is malformed"
_EXPIRED = "The token has expired"
_NO_USER = "The token names no user, or one that cannot be"
_REASONS: dict[type[PyJWTError], str] = {
    ExpiredSignatureError: _EXPIRED,
    ImmatureSignatureError: "The token is not valid yet",
    InvalidAudienceError: "The token is for another audience",
    InvalidIssuerError: "The token is from another issuer",
    InvalidSignatureError: "The signature of the token is wrong",
    InvalidSubjectError: _NO_USER,
    MissingRequiredClaimError: "The token lacks a claim",
}


class Tokens:
    """Verifies tokens.

    Verifying a signature costs more than a cached read, and a client sends the same token for minutes. So a verified
    token is remembered by its digest until it expires or the keys change.

    Args:
        source: provides the keys.
        settings: name the claims that a token must have.
    """

    def __init__(self, source: KeySource, settings: Settings) -> None:
        self.source = source
        self._settings = settings
        self._remembered: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._verified_with = source.keys

    def user_of(self, token: str) -> str:
        """Return the user that a token names.

        Raises:
            InvalidTokenError: the token is not valid.
            UnknownKeyError: no known key fits the token; newer keys may.
        """
        try:
            encoded = token.encode("ascii")
        except UnicodeEncodeError:
            raise InvalidTokenError(_MALFORMED) from None
        if self.source.keys is not self._verified_with:
            self._remembered.clear()
            self._verified_with = self.source.keys
        digest = sha256(encoded).digest()
        if remembered := self._remembered.get(digest):
            user_id, expires_at = remembered
            if time.time() >= expires_at:
                del self._remembered[digest]
                raise InvalidTokenError(_EXPIRED)
            self._remembered.move_to_end(digest)
            return user_id
        verified = self._verify(encoded)
        self._remembered[digest] = verified
        if len(self._remembered) > MAX_REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return verified[0]

    def _verify(self, token: bytes) -> tuple[str, float]:
        """Return the user and the time at which the token expires, in seconds since 1970."""
        if not _FORM.fullmatch(token):
            raise InvalidTokenError(_MALFORMED)
        settings = self._settings
        try:
            key = self._key_for(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.material,
                algorithms=key.algorithms,
                audience=settings.jwt_audience or None,
                issuer=settings.jwt_issuer or None,
                leeway=settings.jwt_leeway,
                options={"require": ["exp"], "verify_aud": bool(settings.jwt_audience)},
            )
        except PyJWTError as error:
            raise InvalidTokenError(_REASONS.get(type(error), _MALFORMED)) from None
        except (ValueError, RecursionError):  # that the library does not turn into its own
            raise InvalidTokenError(_MALFORMED) from None
        user_id = claims.get(settings.jwt_user_claim)
        if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
            raise InvalidTokenError(_NO_USER)
        return user_id, int(claims["exp"]) + settings.jwt_leeway

    def _key_for(self, header: dict[str, object]) -> Key:
        fitting = [key for key in self.source.keys if key.fits(header.get("kid"), header.get("alg"))]
        if len(fitting) != 1:
            raise UnknownKeyError
        return fitting[0]


def tokens_of(settings: Settings) -> Tokens:
    """Return the verifier of tokens that the settings describe."""
    if settings.jwt_jwks_url:
        return Tokens(RemoteKeys(settings.jwt_jwks_url), settings)
    key = key_of_secret(settings.jwt_secret) if settings.jwt_secret else key_of_pem(settings.jwt_public_key)
    return Tokens(KeySource((key,)), settings)
