"""The errors of the API: each has a stable code, a status and a message.

Any layer may raise them; only `mylist.api.error_handler` turns them into responses. Clients should match on `code`. The
messages that the original API documents must not change either: its clients may match on them.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import ClassVar

from mylist.domain.limits import MAX_GENRES

_MAX_ECHO_LENGTH = 100
_MAX_TITLES_TOLD = 5
_CHALLENGE = 'Bearer realm="mylist"'


def _echo(text: str) -> str:
    """Return a client's text for use in a message, truncated to a maximum length."""
    return text if len(text) <= _MAX_ECHO_LENGTH else text[:_MAX_ECHO_LENGTH] + "…"


def unknown_name(kind: str, name: str, known: Sequence[str]) -> str:
    """Return the message about an unknown parameter or field. It suggests the most similar known name.

    Args:
        kind: "parameter" or "field".
        name: the unknown name, in the client's spelling.
        known: the known names.
    """
    folded = {each.casefold(): each for each in known}
    nearest = get_close_matches(name[:_MAX_ECHO_LENGTH].casefold(), folded, n=1)
    start = f"{_echo(name)}: unknown {kind}"
    if nearest:
        return f"{start}, did you mean {folded[nearest[0]]}?"
    return f"{start}, known: {', '.join(known)}" if known else f"{start}, none is allowed here"


class ServiceError(Exception):
    """A failure that the API's contract defines."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    retry_after: ClassVar[int | None] = None
    """The client should retry after this many seconds; None if the same request would fail again."""

    @property
    def message(self) -> str:
        """The message for the client."""
        return str(self)

    @property
    def headers(self) -> dict[str, str]:
        """The response headers of this failure."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


class BadRequestError(ServiceError):
    """The request is malformed."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"


class UserIdRequiredError(BadRequestError):
    """The `user-id` header is missing or empty."""

    code = "USER_ID_REQUIRED"

    def __init__(self) -> None:
        super().__init__("user-id header is required")


class InvalidUserIdError(BadRequestError):
    """The `user-id` header is not a valid user id."""

    code = "INVALID_USER_ID"

    def __init__(self) -> None:
        super().__init__(
            "user-id header must be given once, as 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : @ | / + = -"
        )


class ContentFieldsRequiredError(BadRequestError):
    """`contentId` or `contentType` is missing or empty."""

    code = "CONTENT_FIELDS_REQUIRED"

    def __init__(self) -> None:
        super().__init__("contentId and contentType are required")


class ContentTypeRequiredError(BadRequestError):
    """`contentType` is missing or empty."""

    code = "CONTENT_TYPE_REQUIRED"

    def __init__(self) -> None:
        super().__init__("contentType is required")


class InvalidContentTypeError(BadRequestError):
    """`contentType` is neither "movie" nor "tvshow"."""

    code = "INVALID_CONTENT_TYPE"

    def __init__(self) -> None:
        super().__init__('contentType must be "movie" or "tvshow"')


class InvalidJsonError(BadRequestError):
    """The body is not a JSON object."""

    code = "INVALID_JSON"


class NoItemError(BadRequestError):
    """An import with `mode=merge` has no valid item; nothing was changed."""

    code = "NO_ITEM"

    def __init__(self, reason: str) -> None:
        super().__init__(f"No line is an item: {reason}")


class UnknownListFormatError(BadRequestError):
    """An import cannot read this kind of file of another service; nothing was changed."""

    code = "UNKNOWN_LIST_FORMAT"

    def __init__(self, problem: str, accepted: str) -> None:
        super().__init__(f"The list cannot be read: {problem}. Accepted: {accepted}")


class TotalMismatchError(BadRequestError):
    """The number of items of an import differs from `total`; nothing was changed."""

    code = "TOTAL_MISMATCH"

    def __init__(self, items: int, total: int) -> None:
        super().__init__(f"The body has {items} items, but total says {total}")


class InvalidLineError(BadRequestError):
    """A line of an import with `mode=replace` is not a valid item; nothing was changed."""

    code = "INVALID_LINE"

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"Line {number}: {reason}")


class InvalidFieldError(BadRequestError):
    """A field of the body has the wrong type, or an unknown name in a request that changes a list."""

    code = "INVALID_FIELD"


class InvalidParameterError(BadRequestError):
    """A query parameter has an invalid value."""

    code = "INVALID_PARAMETER"

    def __init__(self, name: str, allowed: str, *, times: str = "once") -> None:
        super().__init__(f"{name} must be given {times}, as {allowed}")


class InvalidGenreError(InvalidParameterError):
    """No movie or show has a given genre, or too many genres are given."""

    def __init__(self, name: str, condition: str = "") -> None:
        super().__init__(name, f"a genre of a movie or show{condition}", times=f"at most {MAX_GENRES} times")


class InvalidExternalIdError(BadRequestError):
    """An external id is malformed, or its name is not registered; nothing was changed."""

    code = "INVALID_EXTERNAL_ID"

    def __init__(self, text: str, names: Sequence[str]) -> None:
        example = "imdb:tt0133093" if "imdb" in names else f"{names[0]}:1"
        super().__init__(
            f"{_echo(text)} is not an id: it must be a contentId, or NAME:ID such as {example}, with or without "
            f"a type as "
            f"in movie:NAME:ID; the names are {', '.join(names)}"
        )


class AmbiguousExternalIdError(ServiceError):
    """Several titles have an external id; nothing was changed."""

    status = HTTPStatus.CONFLICT
    code = "AMBIGUOUS_EXTERNAL_ID"

    def __init__(self, text: str, titles: Sequence[str]) -> None:
        shown = ", ".join(titles[:_MAX_TITLES_TOLD]) + (", …" if len(titles) > _MAX_TITLES_TOLD else "")
        super().__init__(
            f"{_echo(text)} is the id of {len(titles)} titles, {shown}: name one by its contentId or, if their types "
            "differ, put the type before it, as in movie:NAME:ID"
        )


class UnknownParameterError(BadRequestError):
    """A request that changes a list has an unknown query parameter."""

    code = InvalidParameterError.code

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(unknown_name("parameter", name, known))


class InvalidSyncTokenError(BadRequestError):
    """The token in `since` is damaged, or was issued to another user."""

    code = "INVALID_SYNC_TOKEN"

    def __init__(self) -> None:
        super().__init__("since must be a token that this user was given")


class InvalidCursorError(BadRequestError):
    """`cursor` is damaged, or was issued to another user or for another query."""

    code = "INVALID_CURSOR"

    def __init__(self) -> None:
        super().__init__("cursor must be a nextCursor of the same user and query; only pageSize and view may differ")


class TooManyIdsError(ServiceError):
    """The request names too many movies and shows."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "TOO_MANY_IDS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"One request may name at most {limit} content ids")


class TokenRequiredError(ServiceError):
    """The request has no bearer token."""

    status = HTTPStatus.UNAUTHORIZED
    code = "TOKEN_REQUIRED"

    def __init__(self) -> None:
        super().__init__("A bearer token is required")

    @property
    def headers(self) -> dict[str, str]:
        """The `WWW-Authenticate` challenge (RFC 6750, section 3)."""
        return {"www-authenticate": _CHALLENGE}


class InvalidTokenError(ServiceError):
    """The bearer token is invalid. The message says why, and contains nothing from the token."""

    status = HTTPStatus.UNAUTHORIZED
    code = "INVALID_TOKEN"

    @property
    def headers(self) -> dict[str, str]:
        """The `WWW-Authenticate` challenge (RFC 6750, section 3), with the reason."""
        return {"www-authenticate": f'{_CHALLENGE}, error="invalid_token", error_description="{self.message}"'}


class UnknownKeyError(InvalidTokenError):
    """No known key verifies the token. A newly published key may verify it."""

    def __init__(self, message: str = "The token is signed with a key that is not known") -> None:
        super().__init__(message)


class InvalidContentEncodingError(BadRequestError):
    """The body does not match its `Content-Encoding`, or is truncated."""

    code = "INVALID_CONTENT_ENCODING"


class UnsupportedContentEncodingError(ServiceError):
    """The content coding of the body is unknown, or the body has several."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_CONTENT_ENCODING"

    def __init__(self, given: str) -> None:
        super().__init__(f'Content-Encoding is "{_echo(given)}"; it must be gzip, deflate or identity, once')

    @property
    def headers(self) -> dict[str, str]:
        """The accepted encodings (RFC 9110, section 15.5.16)."""
        return {"accept-encoding": "gzip, deflate, identity"}


class UnsupportedCharsetError(ServiceError):
    """The body is text in an encoding other than UTF-8."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_CHARSET"

    def __init__(self, charset: str) -> None:
        super().__init__(f"The body is {charset}: save it as UTF-8")


class NotFoundError(ServiceError):
    """The resource that the request names does not exist."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class ContentNotFoundError(NotFoundError):
    """No movie or show has this id."""

    code = "CONTENT_NOT_FOUND"

    def __init__(self, content_type: str, content_id: str) -> None:
        super().__init__(f"{content_type} with id {_echo(content_id)} not found")


class ContentIdMissingError(NotFoundError):
    """The id in the path is empty."""

    code = "ROUTE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The content id is missing at the end of the path; nothing was changed")


class ItemNotInListError(NotFoundError):
    """The item is not on the user's list."""

    code = "ITEM_NOT_IN_LIST"

    def __init__(self) -> None:
        super().__init__("Item not found in your list")


class ItemAlreadyInListError(ServiceError):
    """The item is on the user's list already."""

    status = HTTPStatus.CONFLICT
    code = "ITEM_ALREADY_IN_LIST"

    def __init__(self) -> None:
        super().__init__("This item is already in your list")


class SyncTokenExpiredError(ServiceError):
    """A sync token is too old: removals after it may have been forgotten, or an earlier version issued it."""

    status = HTTPStatus.GONE
    code = "SYNC_TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__(
            "since or unlessRemovedSince is more than 30 days old, or from before an upgrade: discard your copy, "
            "and request the whole list without since"
        )


class PreconditionFailedError(ServiceError):
    """A condition of the request is false; nothing was changed."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "PRECONDITION_FAILED"

    def __init__(
        self,
        reason: str = "If-Match or If-None-Match is false: your list has changed since you read it, "
        "or the ETag is not the one of GET /api/mylist/export",
    ) -> None:
        super().__init__(reason)


class ItemTakenError(PreconditionFailedError):
    """The condition `If-None-Match: *` is false: the item is on the list, or was removed from it."""

    def __init__(self) -> None:
        super().__init__("If-None-Match: * is false: the item is on your list, or was removed from it")


class RemovedSinceError(PreconditionFailedError):
    """The condition `unlessRemovedSince` is false: the item was removed after that time."""

    def __init__(self) -> None:
        super().__init__("The item was removed from your list after unlessRemovedSince")


class ConfirmationRequiredError(ServiceError):
    """The request would remove items that it does not name, and lacks a confirmation; nothing was changed."""

    status = HTTPStatus.PRECONDITION_REQUIRED
    code = "CONFIRMATION_REQUIRED"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: send If-Match with the ETag of GET /api/mylist/export, or confirm=true")


class ListFullError(ServiceError):
    """The list has the maximum number of items."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "LIST_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Your list is full: it may hold {limit} items")


class AccountFullError(ServiceError):
    """The lists of the user's account together have the maximum number of items."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "ACCOUNT_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Your account is full: the lists of its profiles may hold {limit} items together")


class TooManyRequestsError(ServiceError):
    """The user has the maximum number of requests in flight, or this request did not get its turn in time."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TOO_MANY_REQUESTS"
    retry_after: ClassVar[int] = 1

    def __init__(self, what: str = "requests") -> None:
        super().__init__(f"You have too many {what} in flight, please wait for some to end")


class TooManyImportsError(TooManyRequestsError):
    """The user has the maximum number of imports in flight."""

    code = "TOO_MANY_IMPORTS"

    def __init__(self) -> None:
        super().__init__("imports")


class UnavailableError(ServiceError):
    """Something that the request needs is temporarily unavailable."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "SERVICE_UNAVAILABLE"
    retry_after = 1


class DatabaseUnavailableError(UnavailableError):
    """MongoDB did not answer in time, or rejected the operation; nothing was changed."""

    code = "DATABASE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The database is not available, please try again")


class DatabaseRefusedError(UnavailableError):
    """MongoDB always rejects this operation, because a permission or a feature is missing; nothing was changed."""

    code = "DATABASE_REFUSED"
    retry_after = 30

    def __init__(self) -> None:
        super().__init__("The database rejects this request until its operator fixes the cause; nothing was changed")


class KeysUnavailableError(UnavailableError):
    """The process has no key to verify tokens, because the identity provider is away."""

    code = "KEYS_UNAVAILABLE"
    retry_after = 5

    def __init__(self) -> None:
        super().__init__("No token can be verified at the moment, please try again")


class OutcomeUnknownError(UnavailableError):
    """MongoDB did not answer a write in time; it is unknown whether the write takes effect."""

    code = "OUTCOME_UNKNOWN"

    def __init__(self, what: str = "the change may or may not take effect") -> None:
        super().__init__(f"The database did not answer in time; {what}")


class PartlyAppliedError(OutcomeUnknownError):
    """A part of the request took effect; for the rest, MongoDB did not answer or the time was up."""

    code = "PARTLY_APPLIED"

    def __init__(self, what: str) -> None:
        super().__init__(what)


class CacheUnavailableError(UnavailableError):
    """Redis did not answer in time, or rejected the operation."""

    code = "CACHE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The cache is not available, please try again")


class DatabaseBusyError(UnavailableError):
    """Every connection to MongoDB is in use, and none became free in time."""

    code = "DATABASE_BUSY"

    def __init__(self) -> None:
        super().__init__("The database is busy, please try again")


class OverloadedError(UnavailableError):
    """The process has the maximum number of requests or imports in flight, or their bodies take too much memory."""

    code = "OVERLOADED"

    def __init__(self) -> None:
        super().__init__("The service is busy, please try again")
