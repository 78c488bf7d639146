"""Which page is asked for. Paging clamps and never fails, as the documented API does."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# A number as JavaScript's parseInt reads it: leading blanks and a sign, and whatever follows the digits is ignored.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})", re.ASCII)


class Paging(NamedTuple):
    """The page to give, counted from 1, and how many items a page has."""

    page: int
    page_size: int

    @property
    def last(self) -> int:
        """The number of the page's last item, counted from 1, on a list that is long enough."""
        return self.page * self.page_size


def parse_paging(given: Mapping[str, Sequence[str]], default_size: int, most: int) -> Paging:
    """Reads `page` and `pageSize` from the parameters of a query.

    A page that is unparsable or below 1 is 1. A page size that is unparsable or 0 is `default_size`; below 1 it is 1,
    above `most` it is `most`. An empty value is as good as none.
    """
    page = _integer(given.get("page", ()))
    page_size = _integer(given.get("pageSize", ())) or default_size
    return Paging(max(page, 1), min(max(page_size, 1), most))


def _integer(values: Sequence[str]) -> int:
    match = _INTEGER.match(next(filter(None, values), ""))
    return int(match[1]) if match else 0
