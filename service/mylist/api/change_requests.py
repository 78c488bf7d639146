"""Parses requests that change a list: conditions, parameters and bodies.

Each kind of invalid request has its documented error. Unknown parameters and fields are refused: a typing error must
not change more than the client intended.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta
from multidict import istr

from mylist.api.parameters import MODES, one_of
from mylist.api.schemas import AddRequest, BatchRequest, ImportLine, PutRequest
from mylist.domain.batch import Batch
from mylist.domain.change_feed import SyncState
from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.content import ContentType, RequestedId, is_content_type, parse_content_id, requested
from mylist.domain.errors import (
    ContentFieldsRequiredError,
    ContentIdMissingError,
    ContentTypeRequiredError,
    InvalidContentTypeError,
    InvalidFieldError,
    InvalidJsonError,
    InvalidParameterError,
    InvalidSyncTokenError,
    TooManyIdsError,
    UnknownParameterError,
    unknown_name,
)
from mylist.domain.item import Item
from mylist.domain.limits import MAX_CLOCK_SKEW, MAX_IDS_PER_REQUEST
from mylist.domain.timestamps import UNIX_EPOCH, to_milliseconds
from mylist.http.request import FORM, ApiRequest
from mylist.lists.external_lines import ExternalLine
from mylist.lists.list_import import NumberedLine
from mylist.lists.sync_tokens import decode_sync_token

_T = TypeVar("_T")
_Given = Mapping[str, Sequence[str]]

# The place that msgspec names, as in "Expected `str`, got `int` - at `$.contentId`".
_FIELD_IN_ERROR = re.compile(r"`\$\.(\w+)")
_UNKNOWN_FIELD = re.compile("Object contains unknown field `(.*)`", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_Moment = Annotated[datetime, Meta(tz=True)]
_NOT_A_DATE = "addedAt must be a date, as in 2024-01-20, or a date with time and zone, as in 2024-01-20T10:30:00Z"
_NOT_JSON = "Not JSON"
_NOT_UTF_8 = "Not UTF-8: save the file as UTF-8"
_add_request = msgspec.json.Decoder(AddRequest)
_put_request = msgspec.json.Decoder(PutRequest)
_import_line = msgspec.json.Decoder(ImportLine)
_batch_request = msgspec.json.Decoder(BatchRequest)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_fields_of_each = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_MAX_FORM_FIELDS = 1000  # as in the original
_IF_MATCH, _IF_NONE_MATCH = istr("if-match"), istr("if-none-match")
_TOTAL = re.compile(r"[0-9]{1,9}", re.ASCII)
FIELD_FORMS = {
    "contentIds": "an array of strings",
    "add": "an array of objects with contentId and contentType",
    "remove": "an array of strings",
}


def change_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request that changes a list and takes no parameters.

    Raises:
        UnknownParameterError: the request has parameters.
    """
    return _conditions(request, _change_parameters(request))


def addition_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request that adds items.

    Raises:
        UnknownParameterError: the request has an unknown parameter.
        InvalidParameterError: `unlessRemovedSince` has an invalid value.
    """
    return _conditions(request, _change_parameters(request, "unlessRemovedSince"))


def clearing_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request to clear a list.

    Raises:
        ContentIdMissingError: the path ends with a slash: the id of the item to remove is missing.
        InvalidFieldError: the request has a body, which might name some items.
        UnknownParameterError: the request has an unknown parameter.
        InvalidParameterError: `confirm` has a value other than true.
        ConfirmationRequiredError: the request is not confirmed and does not name the list by its ETag.
    """
    if request.path.endswith("/"):
        raise ContentIdMissingError
    if request.stream.has_body:
        raise InvalidFieldError(
            "A request to clear the list must not have a body; POST /api/mylist/batch removes some items. Nothing "
            "was changed"
        )
    conditions = _conditions(request, _change_parameters(request, "confirm"))
    conditions.require_consent("This would clear the list")
    return conditions


class ImportQuery(NamedTuple):
    """The parameters and conditions of an import.

    Attributes:
        mode: `merge` or `replace`.
        conditions: the conditions that the list must meet.
        total: the number of items that the client announced; None if it announced none.
    """

    mode: str
    conditions: Conditions
    total: int | None


def import_query(request: ApiRequest) -> ImportQuery:
    """Return the parameters and conditions of an import.

    Raises:
        UnknownParameterError: the request has an unknown parameter.
        InvalidParameterError: a parameter has an invalid value.
    """
    given = _change_parameters(request, "mode", "confirm", "total", "unlessRemovedSince")
    mode = one_of(given, "mode", MODES, form=" or ".join(MODES)) or MODES[0]
    total = given.get("total")
    if total is not None and (mode == "merge" or len(total) != 1 or not _TOTAL.fullmatch(total[0])):
        raise InvalidParameterError("total", "the number of items, and only with mode=replace")
    return ImportQuery(mode, _conditions(request, given), None if total is None else int(total[0]))


def _change_parameters(request: ApiRequest, *known: str) -> _Given:
    given = parse_qs(request.query_string, keep_blank_values=True) if request.query_string else {}
    for name in given:
        if name not in known:
            raise UnknownParameterError(name, known)
    return given


def _conditions(request: ApiRequest, given: _Given) -> Conditions:
    if_match, if_none_match = request.headers.getall(_IF_MATCH, None), request.headers.getall(_IF_NONE_MATCH, None)
    if not given and not if_match and not if_none_match:
        return UNCONDITIONAL
    return Conditions(
        ", ".join(if_match) if if_match else None,
        ", ".join(if_none_match) if if_none_match else None,
        is_confirmed=one_of(given, "confirm", ("true",), form="true") is not None,
        unless_removed_since=_removals_known(request, given),
    )


def _removals_known(request: ApiRequest, given: _Given) -> SyncState | None:
    values = given.get("unlessRemovedSince")
    if values is None:
        return None
    if len(values) == 1:
        with suppress(InvalidSyncTokenError):
            return _state_of_date(values[0]) or decode_sync_token(request.user_id, values[0])
    raise InvalidParameterError(
        "unlessRemovedSince", "a token of GET /api/mylist/changes, or a time such as 2024-01-20T10:30:00Z"
    )


def _state_of_date(text: str) -> SyncState | None:
    """Return the state of a client that knows all changes up to a moment; None if the text is not a past moment."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not moment.tzinfo or moment > datetime.now(UTC) + MAX_CLOCK_SKEW:
        return None
    return SyncState(to_milliseconds(moment))


def parse_add_request(body: bytes, media_type: str) -> tuple[RequestedId, ContentType]:
    """Return the content id and the type of a body of the given media type.

    Raises:
        ContentFieldsRequiredError: a field is missing or empty, or the body is missing.
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: a field is not a string, or is unknown.
        InvalidContentTypeError: the type is unknown.
    """
    if not body:
        raise ContentFieldsRequiredError
    addition = _addition(decode(_add_request, body, media_type))
    _refuse_unknown_fields(_names_in(body, media_type), AddRequest)
    return addition


def parse_put_request(body: bytes, media_type: str) -> ContentType:
    """Return the type of a body of the given media type.

    Raises:
        ContentTypeRequiredError: the type is missing or empty, or the body is missing.
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: the type is not a string, or a field is unknown.
        InvalidContentTypeError: the type is unknown.
    """
    if not body:
        raise ContentTypeRequiredError
    request = decode(_put_request, body, media_type)
    if not request.content_type:
        raise ContentTypeRequiredError
    known = _known(request.content_type)
    _refuse_unknown_fields(_names_in(body, media_type), PutRequest)
    return known


def parse_batch_request(body: bytes, media_type: str) -> Batch:
    """Return the batch in a body of the given media type.

    Raises:
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: a field has the wrong type, or is unknown.
        ContentFieldsRequiredError: an item to add lacks a field.
        InvalidContentTypeError: the type of an item is unknown.
        TooManyIdsError: the batch has more than `MAX_IDS_PER_REQUEST` ids.
    """
    request = decode(_batch_request, body, media_type)
    if len(request.add) + len(request.remove) > MAX_IDS_PER_REQUEST:
        raise TooManyIdsError(MAX_IDS_PER_REQUEST)
    batch = Batch(
        [_addition(each) for each in request.add],
        [requested(each) for each in request.remove],
    )
    fields = _fields.decode(body)
    _refuse_unknown_fields(fields, BatchRequest)
    for each in _fields_of_each.decode(fields.get("add", b"[]")):
        _refuse_unknown_fields(each, AddRequest)
    return batch


def parse_import_line(number: int, line: bytes | bytearray, latest: datetime) -> NumberedLine | ExternalLine:
    """Return a line of an import with its item or external id, or with the reason why the line is invalid.

    Args:
        number: the line's number, from 1.
        line: the line.
        latest: the latest moment at which an item may have been added.
    """
    try:
        text = line.decode()
        given = _import_line.decode(text)
    except msgspec.ValidationError as error:
        return NumberedLine(number, _why_invalid(text, error))
    except UnicodeDecodeError:
        return NumberedLine(number, _NOT_UTF_8)
    except (msgspec.DecodeError, RecursionError):
        return NumberedLine(number, _NOT_UTF_8 if b"\0" in line else _NOT_JSON)
    return _listed(number, given, latest)


def _listed(number: int, given: ImportLine, latest: datetime) -> NumberedLine | ExternalLine:
    """Return a decoded line with its item or external id, or with the reason why the line is invalid."""
    has_date = given.added_at is not None
    try:
        added_at = latest if given.added_at is None else _moment(given.added_at)
    except msgspec.ValidationError:
        return NumberedLine(number, _NOT_A_DATE)
    if not UNIX_EPOCH <= added_at <= latest:
        return NumberedLine(number, "addedAt is before 1970 or in the future")
    content_id = parse_content_id(given.content_id)
    if content_id is None:  # an external id, or an id with a line break at its end, which the pattern accepts
        return ExternalLine(number, given.content_id, given.content_type, to_milliseconds(added_at), has_date)
    return NumberedLine(number, Item(to_milliseconds(added_at), content_id, given.content_type), has_date)


def _why_invalid(text: str, error: msgspec.ValidationError) -> str:
    """Return why a line is not an item. msgspec checks types before it knows whether the whole line is JSON."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _NOT_JSON
    if unknown := _UNKNOWN_FIELD.fullmatch(str(error)):
        return unknown_name("field", unknown[1], ImportLine.__struct_encode_fields__)
    field = _FIELD_IN_ERROR.search(str(error))
    if field and field[1] == "contentId" and "matching regex" in str(error):
        return "contentId is neither 24 hexadecimal digits nor an external id such as imdb:tt0133093"
    return _NOT_A_DATE if field and field[1] == "addedAt" else str(error)


def _names_in(body: bytes, media_type: str) -> Iterable[str]:
    """Return the names of the fields of a body, which must be an object."""
    return _form_fields(body.decode()) if media_type == FORM else _fields.decode(body)


def _refuse_unknown_fields(given: Iterable[str], struct: type[msgspec.Struct]) -> None:
    """Refuse unknown fields in the body of a change: a typing error must not go unnoticed.

    The documented errors come first, so this is the last check.

    Raises:
        InvalidFieldError: the object has unknown fields.
    """
    known = struct.__struct_encode_fields__
    for name in given:
        if name not in known:
            raise InvalidFieldError(unknown_name("field", name, known))


def _moment(text: str) -> datetime:
    """Return the moment of a text (RFC 3339): a date with time and zone, or a date alone, which means its start in UTC.

    Raises:
        ValidationError: the text is neither.
    """
    moment: datetime = msgspec.convert(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text, _Moment)
    return moment


def _addition(request: AddRequest) -> tuple[RequestedId, ContentType]:
    if not request.content_id or not request.content_type:
        raise ContentFieldsRequiredError
    return requested(request.content_id), _known(request.content_type)


def decode(decoder: msgspec.json.Decoder[_T], body: bytes, media_type: str) -> _T:
    """Decode a body of the given media type.

    Raises:
        InvalidJsonError: the body is neither a JSON object nor a form.
        InvalidFieldError: a field has the wrong type.
    """
    if not body:
        raise InvalidJsonError("The body must be JSON, with Content-Type: application/json")
    try:
        # Decode to text first: msgspec does not check the encoding of fields that it skips.
        text = body.decode()
        return msgspec.convert(_form_fields(text), decoder.type) if media_type == FORM else decoder.decode(text)
    except msgspec.ValidationError as error:
        if field := _FIELD_IN_ERROR.search(str(error)):
            raise InvalidFieldError(f"{field[1]} must be {FIELD_FORMS.get(field[1], 'a string')}") from None
        raise InvalidJsonError("The body must be a JSON object") from None
    except UnicodeDecodeError:
        raise InvalidJsonError("The body is not UTF-8: save it as UTF-8") from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidJsonError("The body is not valid JSON") from None


def _form_fields(form: str) -> dict[str, str | list[str]]:
    """Return the fields of a form. A repeated field becomes a list, as in the original.

    Raises:
        InvalidJsonError: the form has too many fields, or is not UTF-8.
    """
    try:
        given = parse_qs(form, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError:
        raise InvalidJsonError("The form is not UTF-8") from None
    except ValueError:
        raise InvalidJsonError(f"The form has more than {_MAX_FORM_FIELDS} fields") from None
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def _known(content_type: str) -> ContentType:
    if not is_content_type(content_type):
        raise InvalidContentTypeError
    return content_type
