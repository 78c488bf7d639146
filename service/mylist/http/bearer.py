"""Requests whose bearer token names the user (RFC 6750)."""

from multidict import istr

from mylist.domain.errors import InvalidTokenError, TokenRequiredError
from mylist.http.request import ApiRequest

_AUTHORIZATION = istr("authorization")


class BearerRequest(ApiRequest):
    """A request of the user that its token names. The header `user-id` is ignored."""

    __slots__ = ()
    identified_by = "Authorization"

    @property
    def user_id(self) -> str:
        """The user that the token names.

        Raises:
            TokenRequiredError: the request has no bearer token.
            InvalidTokenError: the token is invalid, or the request has several.
            UnknownKeyError: no known key verifies the token.
        """
        given = self.headers.getall(_AUTHORIZATION, ())
        if len(given) > 1:
            raise InvalidTokenError("The Authorization header must be given once")
        scheme, _, token = given[0].strip(" \t").partition(" ") if given else ("", "", "")
        if scheme.lower() != "bearer":
            raise TokenRequiredError
        tokens = self.app.ctx.tokens
        assert tokens is not None  # noqa: S101 - this class is used with AUTH_MODE=jwt only
        return tokens.user_of(token.lstrip(" "))
