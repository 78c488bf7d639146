"""Parsing of request bodies, with the documented error for each way in which a body can be wrong."""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from mylist.api.schemas import AddRequest, BatchRequest, ContainsRequest, ImportLine, PutRequest
from mylist.domain.batch import Batch
from mylist.domain.content import ContentType, RequestedId, is_content_type, parse_content_id, requested
from mylist.domain.errors import (
    ContentFieldsRequiredError,
    ContentTypeRequiredError,
    InvalidContentTypeError,
    InvalidFieldError,
    InvalidJsonError,
    TooManyIdsError,
)
from mylist.domain.item import Item
from mylist.domain.limits import MAX_IDS_PER_REQUEST
from mylist.domain.page_request import ContainsKey
from mylist.domain.timestamps import UNIX_EPOCH, to_milliseconds

_T = TypeVar("_T")

# Where msgspec says that the trouble is, as in "Expected `str`, got `int` - at `$.contentId`".
_FIELD_IN_ERROR = re.compile(r"`\$\.(\w+)")
_add_request = msgspec.json.Decoder(AddRequest)
_put_request = msgspec.json.Decoder(PutRequest)
_contains_request = msgspec.json.Decoder(ContainsRequest)
_import_line = msgspec.json.Decoder(ImportLine)
_batch_request = msgspec.json.Decoder(BatchRequest)
_FORMS = {
    "contentIds": "an array of strings",
    "add": "an array of objects with contentId and contentType",
    "remove": "an array of strings",
}


def parse_add_request(body: bytes, content_type: str) -> tuple[RequestedId, ContentType]:
    """Return the content id and the type of a body of the given Content-Type.

    Raises:
        ContentFieldsRequiredError: a field is missing or empty, or there is no body.
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: a field is not a string.
        InvalidContentTypeError: the type is unknown.
    """
    if not body:
        raise ContentFieldsRequiredError
    return _addition(_decode(_add_request, body, content_type))


def parse_put_request(body: bytes, content_type: str) -> ContentType:
    """Return the type of a body of the given Content-Type.

    Raises:
        ContentTypeRequiredError: the type is missing or empty, or there is no body.
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: the type is not a string.
        InvalidContentTypeError: the type is unknown.
    """
    if not body:
        raise ContentTypeRequiredError
    request = _decode(_put_request, body, content_type)
    if not request.content_type:
        raise ContentTypeRequiredError
    return _known(request.content_type)


def parse_contains_request(body: bytes, content_type: str) -> tuple[list[str], ContainsKey]:
    """Return the ids that a body of the given Content-Type names, and the key of the answer.

    Raises:
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: `contentIds` is missing, or not an array of strings.
        TooManyIdsError: there are more than `MAX_IDS_PER_REQUEST`.
    """
    request = _decode(_contains_request, body, content_type)
    if request.content_ids is None:
        raise InvalidFieldError(f"contentIds must be {_FORMS['contentIds']}")
    if len(request.content_ids) > MAX_IDS_PER_REQUEST:
        raise TooManyIdsError(MAX_IDS_PER_REQUEST)
    return request.content_ids, ContainsKey(body)


def parse_batch_request(body: bytes, content_type: str) -> Batch:
    """Return the batch in a body of the given Content-Type.

    Raises:
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: a field has another form.
        ContentFieldsRequiredError: an item to add lacks a field.
        InvalidContentTypeError: the type of an item is unknown.
        TooManyIdsError: there are more than `MAX_IDS_PER_REQUEST`.
    """
    request = _decode(_batch_request, body, content_type)
    if len(request.add) + len(request.remove) > MAX_IDS_PER_REQUEST:
        raise TooManyIdsError(MAX_IDS_PER_REQUEST)
    return Batch(
        [_addition(each) for each in request.add],
        [requested(each) for each in request.remove],
    )


def parse_import_line(line: bytes | bytearray, latest: datetime) -> Item | str:
    """Return the item of a line of an import, or why the line is invalid.

    Args:
        line: the line.
        latest: the moment after which no item can have been added.
    """
    try:
        given = _import_line.decode(line.decode())
    except msgspec.ValidationError as error:
        return str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "Not JSON"
    added_at = given.added_at or datetime.now(UTC)
    if not UNIX_EPOCH <= added_at <= latest:
        return "addedAt is before 1970 or in the future"
    content_id = parse_content_id(given.content_id)  # the pattern alone accepts a line break at the end
    return Item(to_milliseconds(added_at), content_id, given.content_type) if content_id else "contentId is none"


def _addition(request: AddRequest) -> tuple[RequestedId, ContentType]:
    if not request.content_id or not request.content_type:
        raise ContentFieldsRequiredError
    return requested(request.content_id), _known(request.content_type)


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes, content_type: str) -> _T:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidJsonError("The body must be JSON, with Content-Type: application/json")
    try:
        # Decoded to text first: msgspec does not check the encoding of fields that it skips.
        return decoder.decode(body.decode())
    except msgspec.ValidationError as error:
        if field := _FIELD_IN_ERROR.search(str(error)):
            raise InvalidFieldError(f"{field[1]} must be {_FORMS.get(field[1], 'a string')}") from None
        raise InvalidJsonError("The body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidJsonError("The body is not valid JSON") from None


def _known(content_type: str) -> ContentType:
    if not is_content_type(content_type):
        raise InvalidContentTypeError
    return content_type
