"""The request where a bearer token says who asks (RFC 6750)."""

from multidict import istr

from mylist.api.request import ApiRequest
from mylist.errors import InvalidTokenError, TokenRequiredError

_AUTHORIZATION = istr("authorization")


class BearerRequest(ApiRequest):
    """A request of whoever its token names; the header `user-id` says nothing."""

    __slots__ = ()
    identified_by = "Authorization"

    @property
    def user_id(self) -> str:
        """Who asks.

        Raises:
            TokenRequiredError: there is no bearer token.
            InvalidTokenError: it is not valid, or there are several.
            UnknownKeyError: no key that is known fits it.
        """
        given = self.headers.getall(_AUTHORIZATION, ())
        if len(given) > 1:
            raise InvalidTokenError("The Authorization header must be given once")
        scheme, _, token = given[0].strip().partition(" ") if given else ("", "", "")
        if scheme.lower() != "bearer":
            raise TokenRequiredError
        return self.app.ctx.tokens.user_of(token.lstrip(" "))
