"""Lines of an import that name their titles by external ids: looked up some at a time, before anything is changed."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass

from mylist.domain.content import ContentType
from mylist.domain.errors import AmbiguousExternalIdError
from mylist.domain.item import Item
from mylist.lists.external_ids import find_titles, problem_of, the_only
from mylist.lists.list_import import NumberedLine
from mylist.lists.ports import Catalogue

_LINES_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """A line of an import, numbered from 1, with an external id.

    Attributes:
        number: the line's.
        external_id: as the line has it.
        content_type: of the title.
        added_at: milliseconds since 1970 UTC.
        has_date: whether the line has a date.
    """

    number: int
    external_id: str
    content_type: ContentType
    added_at: int
    has_date: bool


async def with_titles(
    catalogue: Catalogue, lines: AsyncIterable[NumberedLine | ExternalLine]
) -> AsyncIterator[NumberedLine]:
    """Yield lines with the content ids of those that have external ids; one that means no one title is no item.

    Raises:
        UnavailableError: the catalogue has to be asked, and cannot answer.
    """
    part: list[NumberedLine | ExternalLine] = []
    async for line in lines:
        part.append(line)
        if len(part) == _LINES_PER_QUERY:
            for each in await _resolved(catalogue, part):
                yield each
            part = []
    for each in await _resolved(catalogue, part):
        yield each


async def _resolved(catalogue: Catalogue, part: Sequence[NumberedLine | ExternalLine]) -> list[NumberedLine]:
    external = [each for each in part if isinstance(each, ExternalLine)]
    problems = {each.external_id: problem_of(each.external_id, catalogue.external_id_names) for each in external}
    named = {(each.external_id, each.content_type) for each in external if not problems[each.external_id]}
    titles = await find_titles(catalogue, named) if named else {}
    return [
        NumberedLine(
            each.number,
            problems[each.external_id] or _item(each, titles[each.external_id, each.content_type]),
            each.has_date,
        )
        if isinstance(each, ExternalLine)
        else each
        for each in part
    ]


def _item(line: ExternalLine, keys: Sequence[bytes]) -> Item | str:
    try:
        content_id = the_only(keys, line.external_id)
    except AmbiguousExternalIdError as error:
        return error.message
    if content_id is None:
        return f"No {line.content_type} has the external id {line.external_id}"
    return Item(line.added_at, content_id, line.content_type)
