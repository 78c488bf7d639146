"""Bearer tokens: whether a token is valid, and which user it names."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256

from jwt import PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from mylist.auth.claims import check_audience, check_issuer, expired, expiry_of, user_of
from mylist.auth.key_source import KeySource
from mylist.auth.keys import PUBLIC_KEY_ALGORITHMS, Key, key_of_pem, key_of_secret
from mylist.auth.remote_keys import RemoteKeys
from mylist.config.settings import Settings
from mylist.domain.errors import InvalidTokenError, KeysUnavailableError, UnknownKeyError

MAX_REMEMBERED_TOKENS = 20_000
MAX_TRIED_KEYS = 10
_FORM = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+")
_MALFORMED = "The token is malformed"
_WRONG_SIGNATURE = "The signature of the token is wrong"
_jws = PyJWS()


class Tokens:
    """Verifies tokens.

    Verifying a signature costs more than a cached read, and a client sends the same token for minutes. So the digest of
    a verified token is cached until the token expires or the keys change.

    Args:
        source: provides the keys.
        settings: the settings, which name the required claims.
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
            UnknownKeyError: no known key verifies the token; a newer key may.
            KeysUnavailableError: there are no keys.
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
                raise InvalidTokenError(expired())
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
        claims = self._claims_of(token)
        expires_at = expiry_of(claims, now=time.time(), leeway=settings.jwt_leeway)
        check_audience(claims, settings.jwt_audiences)
        check_issuer(claims, settings.jwt_issuers)
        return user_of(claims, settings.jwt_user_claim, settings.jwt_profile_claim), expires_at

    def _claims_of(self, token: bytes) -> dict[str, object]:
        """Verify the signature of a token; return its claims."""
        try:
            header = _jws.get_unverified_header(token)
            claims = json.loads(self._verified_payload(token, header.get("kid"), header.get("alg")))
        except (PyJWTError, ValueError, RecursionError):
            raise InvalidTokenError(_MALFORMED) from None
        if not isinstance(claims, dict):
            raise InvalidTokenError(_MALFORMED)
        return claims

    def _verified_payload(self, token: bytes, key_id: object, algorithm: object) -> bytes:
        """Return the payload of a token that one of the keys verifies."""
        for key in self._candidates(key_id, algorithm):
            try:
                payload: bytes = _jws.decode(token, key.material, algorithms=key.algorithms)
            except InvalidSignatureError:
                continue
            return payload
        if key_id is not None and any(key.key_id == key_id for key in self.source.keys):
            raise InvalidTokenError(_WRONG_SIGNATURE)
        raise UnknownKeyError(_WRONG_SIGNATURE)

    def _candidates(self, key_id: object, algorithm: object) -> list[Key]:
        """Return the keys that may have signed a token, keys with its key id first."""
        if not self.source.keys:
            raise KeysUnavailableError
        named = [key for key in self.source.keys if key.is_named(key_id)]
        fitting = [key for key in named if algorithm in key.algorithms]
        if fitting:
            return sorted(fitting, key=lambda key: key.key_id != key_id)[:MAX_TRIED_KEYS]
        exactly = [key for key in named if key_id is not None and key.key_id == key_id]
        if exactly or algorithm not in PUBLIC_KEY_ALGORITHMS:
            raise InvalidTokenError(_not_accepted(exactly or named or self.source.keys))
        raise UnknownKeyError(_not_accepted(named)) if named else UnknownKeyError


def _not_accepted(keys: Iterable[Key]) -> str:
    accepted = dict.fromkeys(algorithm for key in keys for algorithm in key.algorithms)
    return f"The token is signed by an algorithm that is not accepted, expected {' or '.join(accepted)}"


def tokens_of(settings: Settings) -> Tokens:
    """Return the verifier of tokens that the settings describe."""
    if settings.jwt_jwks_url:
        return Tokens(RemoteKeys(settings.jwt_jwks_url), settings)
    key = key_of_secret(settings.jwt_secret) if settings.jwt_secret else key_of_pem(settings.jwt_public_key)
    return Tokens(KeySource((key,)), settings)
