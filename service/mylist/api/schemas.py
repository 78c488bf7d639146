"""The bodies of the API as structs, which decode requests and encode answers. OpenAPI documents them."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.domain.external_id import EXTERNAL_NAME_PATTERN, EXTERNAL_VALUE_PATTERN

ContentId = Annotated[str, Meta(pattern="^[0-9a-fA-F]{24}$", description="24 hexadecimal digits.")]
NAMED_FORM = "A contentId, or an external id such as imdb:tt0133093 or, with its type, movie:tmdb:603."
_NAMED = rf"^([0-9a-fA-F]{{24}}|((movie|tvshow):)?{EXTERNAL_NAME_PATTERN}:{EXTERNAL_VALUE_PATTERN})$"
RequestedId = Annotated[str, Meta(description=NAMED_FORM)]
RequestedExternalId = Annotated[str, Meta(description="The external id, as in the request.")]
Timestamp = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        description="ISO 8601, UTC, with milliseconds.",
        examples=["2024-01-20T10:30:00.000Z"],
    ),
]
Count = Annotated[int, Meta(ge=0)]
Cursor = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", description="Of the next page; null on the last page.")]


class AddRequest(Struct, rename="camel"):
    """The movie or show to add. Both fields are required."""

    content_id: Annotated[str | None, Meta(description=NAMED_FORM, examples=["507f1f77bcf86cd799439012"])] = None
    content_type: Annotated[str | None, Meta(examples=list(CONTENT_TYPES))] = None


class PutRequest(Struct, rename="camel"):
    """The type of the movie or show. The field is required."""

    content_type: Annotated[str | None, Meta(examples=list(CONTENT_TYPES))] = None


class ContainsRequest(Struct, rename="camel"):
    """The movies and shows to look for."""

    content_ids: Annotated[list[RequestedId] | None, Meta(examples=[["507f1f77bcf86cd799439012"]])] = None


class BatchRequest(Struct, rename="camel"):
    """The items to remove and to add, in this order; at most 100 ids together."""

    add: list[AddRequest] = []
    remove: Annotated[list[RequestedId], Meta(examples=[["507f1f77bcf86cd799439013"]])] = []


class ImportLine(Struct, rename="camel", forbid_unknown_fields=True):
    """An item to add, with the moment when it was added; without `addedAt`, now."""

    content_id: Annotated[str, Meta(pattern=_NAMED, description=NAMED_FORM)]
    content_type: ContentType
    added_at: Annotated[str | None, Meta(description="A date with time and zone (RFC 3339), or a date in UTC.")] = None


class AddedItem(Struct, rename="camel", forbid_unknown_fields=True):
    """An item of a list."""

    user_id: str
    content_id: ContentId
    content_type: ContentType
    added_at: Timestamp


class AddResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The item is on the list."""

    success: Literal[True]
    message: Literal["Item added to your list"]
    data: AddedItem


class PutResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The item is on the list, since `addedAt`."""

    success: Literal[True]
    message: Literal["Item is in your list"]
    data: AddedItem


class AddOutcome(Struct, rename="camel", forbid_unknown_fields=True):
    """The outcome of an addition. `contentId` is as in the request or, with `externalId`, the id of its title."""

    content_id: Annotated[str | None, Meta(description="null unless exactly one title has this external id.")]
    outcome: Literal["added", "existing", "not_found", "removed_since", "ambiguous"]
    external_id: RequestedExternalId | UnsetType = UNSET


class RemoveOutcome(Struct, rename="camel", forbid_unknown_fields=True):
    """The outcome of a removal. `contentId` is as in the request or, with `externalId`, the id of its title."""

    content_id: Annotated[str | None, Meta(description="null unless exactly one title has this external id.")]
    outcome: Literal["removed", "missing", "ambiguous"]
    external_id: RequestedExternalId | UnsetType = UNSET


class BatchOutcomes(Struct, rename="camel", forbid_unknown_fields=True):
    """The outcome of each id, in the order of the request."""

    add: list[AddOutcome]
    remove: list[RemoveOutcome]


class BatchResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The batch was applied."""

    success: Literal[True]
    data: BatchOutcomes


class Presence(Struct, rename="camel", forbid_unknown_fields=True):
    """Whether each id is on the list, in the order of the request."""

    contains: list[bool]


class ContainsResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """Which of the ids are on the list."""

    success: Literal[True]
    data: Presence


class ChangedItem(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """An item was added to the list, at `addedAt`, or removed. `changedAt` is when the service made the change.

    `contentType` is missing if the item was removed and its title was withdrawn.
    """

    change: Literal["added", "removed"]
    content_id: ContentId
    content_type: ContentType | UnsetType = UNSET
    changed_at: Timestamp
    added_at: Timestamp | UnsetType = UNSET


class ChangesData(Struct, rename="camel", forbid_unknown_fields=True):
    """Changes, oldest first. The first round is different: it is the whole list, by content id.

    The client sends `token` as `since` in its next request: at once if `hasMore` is true.
    """

    changes: list[ChangedItem]
    token: str
    has_more: bool


class ChangesResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The changes of the list."""

    success: Literal[True]
    data: ChangesData


class ClearData(Struct, rename="camel", forbid_unknown_fields=True):
    """The number of items that were removed from the list."""

    removed: Count


class ClearResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The list was cleared."""

    success: Literal[True]
    message: Literal["Your list was cleared"]
    data: ClearData


class ExportedItem(Struct, rename="camel", forbid_unknown_fields=True):
    """A line of an export."""

    content_id: ContentId
    content_type: ContentType
    added_at: Timestamp


class Candidate(Struct, rename="camel", forbid_unknown_fields=True):
    """A movie or show that a line of an import may mean."""

    content_id: ContentId
    content_type: ContentType
    title: str
    year: int | None


class ImportedLine(Struct, rename="camel", forbid_unknown_fields=True):
    """The outcome of a line of an import, numbered from 1. `line` is null for an item that no line names."""

    line: Annotated[int, Meta(ge=1)] | None
    content_id: ContentId | None
    outcome: Literal[
        "added",
        "dated",
        "existing",
        "not_found",
        "full",
        "invalid",
        "removed",
        "removed_since",
        "ambiguous",
        "unmatched",
    ]
    error: str | UnsetType = UNSET
    title: (
        Annotated[
            str,
            Meta(description="If the line is ambiguous or unmatched: the title or external id in the line, unchanged."),
        ]
        | UnsetType
    ) = UNSET
    year: int | UnsetType | None = UNSET
    candidates: (
        Annotated[list[Candidate], Meta(description="The titles that the line may mean; at most 10.")] | UnsetType
    ) = UNSET


class LimitsData(Struct, rename="camel", forbid_unknown_fields=True):
    """The limits in force."""

    max_list_size: Count
    max_items_per_account: Count
    default_page_size: Count
    max_page_size: Count
    max_content_ids: Count
    max_changes: Count
    changes_known_for_days: Count
    max_body_bytes: Count
    max_import_bytes: Annotated[int, Meta(ge=0, description="For an import of JSON Lines.")]
    max_list_file_bytes: Annotated[
        int, Meta(ge=0, description="For an import of CSV or a JSON array, such as the file of another service.")
    ]
    max_import_lines: Count
    max_concurrent_requests: Count
    max_concurrent_imports: Count


class LimitsResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The limits of requests."""

    success: Literal[True]
    data: LimitsData


class RemoveResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The item is not on the list any more."""

    success: Literal[True]
    message: Literal["Item removed from your list"]


class Content(Struct, rename="camel"):
    """A movie or show. It also has the other fields of its document."""

    id: ContentId
    title: str | None = None
    description: str | None = None
    genres: list[str] | None = None
    release_date: Timestamp | None = None
    director: str | None = None
    actors: list[str] | None = None
    episodes: list[dict[str, Any]] | None = None
    external_ids: Annotated[
        dict[str, str | int] | None,
        Meta(description="Its ids in other catalogues, by name.", examples=[{"imdb": "tt0133093", "tmdb": "603"}]),
    ] = None


class ListedItem(AddedItem, rename="camel", forbid_unknown_fields=True):
    """An item of a list with its movie or show. `content` is null if the movie or show was withdrawn."""

    content: Content | None


class ItemsPage(Struct, rename="camel", forbid_unknown_fields=True):
    """One page, newest first. `page` and `pageSize` are the values that were applied."""

    items: list[ListedItem]
    total: Count
    page: Annotated[int, Meta(ge=1)]
    page_size: Annotated[int, Meta(ge=1)]
    total_pages: Count


class ItemsResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """A page of the list."""

    success: Literal[True]
    data: ItemsPage


class Selected(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """One page of the selected items. `page` and `totalPages` are missing if the request has a cursor."""

    items: list[ListedItem]
    total: Count
    page: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    page_size: Annotated[int, Meta(ge=1)]
    total_pages: Count | UnsetType = UNSET
    next_cursor: Cursor | None


class SelectionResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """One page of the list, filtered and sorted."""

    success: Literal[True]
    data: Selected


class ListedId(Struct, rename="camel", forbid_unknown_fields=True):
    """An item of a list without its movie or show."""

    content_id: ContentId
    content_type: ContentType
    added_at: Timestamp


class SelectedIds(Selected, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """One page of the selected items, without the movies and shows."""

    items: list[ListedId]  # type: ignore[assignment]  # in the same place, of another form


class IdsResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """One page of the list, filtered and sorted, as ids."""

    success: Literal[True]
    data: SelectedIds


class TypeCounts(Struct, rename="camel", forbid_unknown_fields=True):
    """The number of items of each type."""

    movie: Count
    tvshow: Count


class StatsData(Struct, rename="camel", forbid_unknown_fields=True):
    """The number of items, in total and by type."""

    total: Count
    by_type: TypeCounts


class StatsResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """Statistics of the list."""

    success: Literal[True]
    data: StatsData


class HealthResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The service answers."""

    status: Literal["ok"]
    timestamp: Timestamp


class LivenessResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """The event loop answers."""

    status: Literal["ok"]


class ReadinessResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """Whether the process accepts traffic, and the state of its dependencies. `keys` needs `AUTH_MODE=jwt`.

    The reasons explain to people why a dependency is unavailable.
    """

    status: Literal["ready", "starting", "draining"]
    mongodb: Literal["available", "unavailable"]
    keys: Literal["available", "unavailable"] | UnsetType = UNSET
    mongodb_reason: str | UnsetType = UNSET
    keys_reason: str | UnsetType = UNSET


class ErrorResponse(Struct, rename="camel", forbid_unknown_fields=True):
    """Any failure. Clients should match on `code`; `error` is for people."""

    success: Literal[False]
    error: str
    code: Annotated[str, Meta(pattern="^[A-Z_]+$", examples=["ITEM_ALREADY_IN_LIST"])]
    status_code: Annotated[int, Meta(ge=400, le=599)]
    timestamp: Timestamp
    path: str
    method: str
    request_id: str
