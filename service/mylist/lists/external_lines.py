"""Lines of an import that name their titles by external ids. All ids are looked up before anything is changed."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from mylist.domain.content import ContentType, split_content_key
from mylist.domain.errors import InvalidExternalIdError
from mylist.domain.external_id import TypedExternalId
from mylist.domain.found_title import FoundTitle
from mylist.domain.item import Item
from mylist.lists.candidates import TitlesById, ambiguous, described
from mylist.lists.external_ids import Named, registered, titles_of
from mylist.lists.list_import import NumberedLine, Unresolved
from mylist.lists.ports import Catalogue
from mylist.lists.some_at_a_time import some_at_a_time

_LINES_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """A line of an import, numbered from 1, with an external id.

    Attributes:
        number: the line's number.
        external_id: as written in the line.
        content_type: of the title.
        added_at: milliseconds since 1970 UTC.
        has_date: whether the line has a date.
    """

    number: int
    external_id: str
    content_type: ContentType
    added_at: int
    has_date: bool

    @property
    def named(self) -> Named:
        """The external id and the content type of the line."""
        return self.external_id, self.content_type


async def with_titles(
    catalogue: Catalogue, titles: TitlesById, lines: AsyncIterable[NumberedLine | ExternalLine]
) -> AsyncIterator[NumberedLine]:
    """Yield lines with external ids replaced by content ids, or by the titles that an external id may mean.

    Args:
        catalogue: finds titles by external id.
        titles: describes the titles of an external id that several titles have.
        lines: the lines.

    Raises:
        UnavailableError: the catalogue must be asked and does not answer.
    """
    async for part in some_at_a_time(lines, _LINES_PER_QUERY):
        for line in await _resolved(catalogue, titles, part):
            yield line


async def _resolved(
    catalogue: Catalogue, titles: TitlesById, part: Sequence[NumberedLine | ExternalLine]
) -> list[NumberedLine]:
    parsed: dict[Named, TypedExternalId] = {}
    problems: dict[Named, str] = {}
    for named in dict.fromkeys(each.named for each in part if isinstance(each, ExternalLine)):
        try:
            parsed[named] = registered(named[0], catalogue.external_id_names)
        except InvalidExternalIdError as error:
            problems[named] = error.message
    keys = await titles_of(catalogue, parsed) if parsed else {}
    candidates = await described(titles, {key for each in keys.values() if len(each) > 1 for key in each})
    return [
        NumberedLine(each.number, problems.get(each.named) or _item(each, keys[each.named], candidates), each.has_date)
        if isinstance(each, ExternalLine)
        else each
        for each in part
    ]


def _item(line: ExternalLine, keys: Sequence[bytes], candidates: Mapping[bytes, FoundTitle]) -> Item | Unresolved:
    match keys:
        case []:
            reason = f"No {line.content_type} has the external id {line.external_id}"
            return Unresolved(line.external_id, None, reason=reason)
        case [key]:
            return Item(line.added_at, *split_content_key(key))
        case _:
            return ambiguous(line.external_id, None, keys, candidates)
