"""Which page is asked for. Paging clamps and never fails, as the documented API does."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

# A number as JavaScript's parseInt reads it: leading blanks and a sign, and whatever follows the digits is ignored.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})", re.ASCII)
# Longer ones are nobody's page, and would only fill the memory.
_REMEMBERED_LENGTH = 64


class Paging(NamedTuple):
    """The page to give, counted from 1, and how many items a page has."""

    page: int
    page_size: int

    @property
    def last(self) -> int:
        """The number of the page's last item, counted from 1, on a list that is long enough."""
        return self.page * self.page_size


def parse_paging(query: str, default_size: int, most: int) -> Paging:
    """Reads `page` and `pageSize` from a query string.

    A page that is unparsable or below 1 is 1. A page size that is unparsable or 0 is `default_size`; below 1 it is 1,
    above `most` it is `most`.
    """
    parse = _parse if len(query) <= _REMEMBERED_LENGTH else _parse.__wrapped__
    return parse(query, default_size, most)


@lru_cache(maxsize=4096)
def _parse(query: str, default_size: int, most: int) -> Paging:
    given = parse_qs(query)
    page = _integer(given.get("page"))
    page_size = _integer(given.get("pageSize")) or default_size
    return Paging(max(page, 1), min(max(page_size, 1), most))


def _integer(values: list[str] | None) -> int:
    match = _INTEGER.match(values[0]) if values else None
    return int(match[1]) if match else 0
