"""Checks of answers; only of a sample, because a check costs more than sending the request."""

import msgspec

from mylist.api.schemas import ItemsPage, ItemsResponse, StatsResponse

_items = msgspec.json.Decoder(ItemsResponse)
_stats = msgspec.json.Decoder(StatsResponse)


class WrongAnswerError(Exception):
    """An answer is wrong; the message names the difference."""


def read_page(body: bytes, person: str) -> ItemsPage:
    """Read a page of a person's list and check that it is complete and theirs.

    Raises:
        WrongAnswerError: it is not.
    """
    try:
        page = _items.decode(body).data
    except msgspec.DecodeError as error:
        raise WrongAnswerError(f"not a page: {error}") from error
    expected = min(max(page.total - (page.page - 1) * page.page_size, 0), page.page_size)
    if len(page.items) != expected:
        raise WrongAnswerError(f"{len(page.items)} items on page {page.page} of {page.total}, not {expected}")
    if any(item.user_id != person for item in page.items):
        raise WrongAnswerError("somebody else's items")
    return page


def check_stats(body: bytes) -> None:
    """Check that the counts add up.

    Raises:
        WrongAnswerError: they do not.
    """
    try:
        counted = _stats.decode(body).data
    except msgspec.DecodeError as error:
        raise WrongAnswerError(f"not statistics: {error}") from error
    by_type = counted.by_type
    if counted.total != by_type.movie + by_type.tvshow:
        raise WrongAnswerError(f"{by_type.movie} movies and {by_type.tvshow} shows, {counted.total} in all")
