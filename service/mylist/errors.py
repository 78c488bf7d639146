"""Every failure that a client can meet: its stable code, its status and its message.

Raise these anywhere; `mylist.api.error_handler` is the one place that turns them into a response. Clients decide by
`code`; the messages of the documented API are kept to the letter because its clients may match on them.
"""

from http import HTTPStatus
from typing import ClassVar

_ECHO_LIMIT = 100
_CHALLENGE = 'Bearer realm="mylist"'


def _echo(text: str) -> str:
    """Limits what a message repeats of a client's own words."""
    return text if len(text) <= _ECHO_LIMIT else text[:_ECHO_LIMIT] + "…"


class ServiceError(Exception):
    """A failure with a place in the API's contract."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    retry_after: ClassVar[int | None] = None
    """Seconds after which trying again makes sense; None where the same request would fail again."""

    @property
    def message(self) -> str:
        """What the client is told."""
        return str(self)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer that belong to this failure."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


class BadRequestError(ServiceError):
    """The request cannot be understood."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"


class UserIdRequiredError(BadRequestError):
    """The `user-id` header is missing or empty."""

    code = "USER_ID_REQUIRED"

    def __init__(self) -> None:
        super().__init__("user-id header is required")


class InvalidUserIdError(BadRequestError):
    """The `user-id` header holds something that no user is called."""

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
    """`contentType` is neither of the two."""

    code = "INVALID_CONTENT_TYPE"

    def __init__(self) -> None:
        super().__init__('contentType must be "movie" or "tvshow"')


class InvalidJsonError(BadRequestError):
    """The body is not JSON, or not an object."""

    code = "INVALID_JSON"


class InvalidLineError(BadRequestError):
    """A line of an import is no item, so what the list shall be is not known; nothing was changed."""

    code = "INVALID_LINE"

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"Line {number}: {reason}")


class InvalidFieldError(BadRequestError):
    """A field of the body has the wrong type."""

    code = "INVALID_FIELD"


class InvalidParameterError(BadRequestError):
    """A parameter of the query has a value that it may not have."""

    code = "INVALID_PARAMETER"

    def __init__(self, name: str, allowed: str) -> None:
        super().__init__(f"{name} must be given once, as {allowed}")


class InvalidSyncTokenError(BadRequestError):
    """`since` is damaged, or was given to somebody else."""

    code = "INVALID_SYNC_TOKEN"

    def __init__(self) -> None:
        super().__init__("since must be a token that this user was given")


class InvalidCursorError(BadRequestError):
    """`cursor` is damaged, or was given to somebody else or for another order."""

    code = "INVALID_CURSOR"

    def __init__(self) -> None:
        super().__init__("cursor must be a nextCursor of the same user, type, genre, sort and order")


class TooManyIdsError(ServiceError):
    """The request names more movies and shows than one request may."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "TOO_MANY_IDS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"One request may name at most {limit} content ids")


class TokenRequiredError(ServiceError):
    """There is no bearer token."""

    status = HTTPStatus.UNAUTHORIZED
    code = "TOKEN_REQUIRED"

    def __init__(self) -> None:
        super().__init__("A bearer token is required")

    @property
    def headers(self) -> dict[str, str]:
        """How to ask instead."""
        return {"www-authenticate": _CHALLENGE}


class InvalidTokenError(ServiceError):
    """The bearer token is not valid; the message says why, and never what it holds."""

    status = HTTPStatus.UNAUTHORIZED
    code = "INVALID_TOKEN"

    @property
    def headers(self) -> dict[str, str]:
        """How to ask instead, and why it was in vain."""
        return {"www-authenticate": f'{_CHALLENGE}, error="invalid_token", error_description="{self.message}"'}


class UnknownKeyError(InvalidTokenError):
    """No key that is known fits the token."""

    def __init__(self) -> None:
        super().__init__("The token is signed with a key that is not known")


class ImportCutShortError(BadRequestError):
    """The body of an import ended wrongly, after some of its lines had been done."""

    code = "IMPORT_CUT_SHORT"

    def __init__(self, lines: int) -> None:
        super().__init__(f"The body ended wrongly; the lines up to {lines} took effect, the others did not")


class NotFoundError(ServiceError):
    """What the request names does not exist."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class ContentNotFoundError(NotFoundError):
    """No movie or show has this id."""

    code = "CONTENT_NOT_FOUND"

    def __init__(self, content_type: str, content_id: str) -> None:
        super().__init__(f"{content_type} with id {_echo(content_id)} not found")


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
    """What was removed since the token was given out is not known any more."""

    status = HTTPStatus.GONE
    code = "SYNC_TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__(
            "The token is more than 30 days old: drop what you have, and ask without since for the whole list"
        )


class PreconditionFailedError(ServiceError):
    """The list is not what `If-Match` says; nothing was changed."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "PRECONDITION_FAILED"

    def __init__(self) -> None:
        super().__init__("Your list has changed since you read it")


class ConfirmationRequiredError(ServiceError):
    """A whole list would go, and nothing says that this is meant; nothing was changed."""

    status = HTTPStatus.PRECONDITION_REQUIRED
    code = "CONFIRMATION_REQUIRED"

    def __init__(self) -> None:
        super().__init__("To clear the list, send If-Match with the ETag of its export or first page, or confirm=true")


class ListFullError(ServiceError):
    """The list has as many items as a list may have."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "LIST_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Your list is full: it may hold {limit} items")


class UnavailableError(ServiceError):
    """Something that the request needs is out of service for now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "SERVICE_UNAVAILABLE"
    retry_after = 1


class StoreUnavailableError(UnavailableError):
    """MongoDB did not answer in time, or refused; nothing was changed."""

    code = "DATABASE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The database is not available, please try again")


class OutcomeUnknownError(UnavailableError):
    """MongoDB did not answer a write in time; it may or may not take effect."""

    code = "OUTCOME_UNKNOWN"

    def __init__(self, what: str = "the change may or may not take effect") -> None:
        super().__init__(f"The database did not answer in time; {what}")


class PartlyAppliedError(OutcomeUnknownError):
    """Some of many changes were made, and MongoDB did not answer the others."""

    code = "PARTLY_APPLIED"

    def __init__(self, what: str = "the removals took effect, the additions may or may not") -> None:
        super().__init__(what)


class CacheUnavailableError(UnavailableError):
    """Redis did not answer in time, or refused."""

    code = "CACHE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The cache is not available, please try again")


class DatabaseBusyError(UnavailableError):
    """Every connection to MongoDB is in use."""

    code = "DATABASE_BUSY"

    def __init__(self) -> None:
        super().__init__("The database is busy, please try again")


class OverloadedError(UnavailableError):
    """As many requests are under way as the process takes on at once."""

    code = "OVERLOADED"

    def __init__(self) -> None:
        super().__init__("The service is busy, please try again")
