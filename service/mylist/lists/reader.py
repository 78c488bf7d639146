"""Reads a list: a page, the result of a query, whether it has some ids, its counts, or the whole list.

All answers except the counts and long exports take the same steps: read the packed list, then reuse the answer that was
rendered from the same list, or render a new one.
"""

import asyncio
import math
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mylist.domain.cache_result import CacheResult
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import EXTERNAL_ID_SEPARATOR, is_external
from mylist.domain.errors import InvalidGenreError
from mylist.domain.etags import etag_of
from mylist.domain.filter_and_sort import (
    SLICE_SIZE,
    CursorPosition,
    ListQuery,
    QueryPage,
    records_of,
    select,
)
from mylist.domain.hot_loops import are_listed
from mylist.domain.packed_list import RECORD_SIZE, PackedList, records_at
from mylist.domain.page_request import ContainsKey, ExportKey, ItemsQuery, PageRequest
from mylist.lists.cursors import decode_cursor
from mylist.lists.export_csv import csv_lines
from mylist.lists.external_ids import find_titles, the_only
from mylist.lists.page_cache import PageCache, RenderedPage
from mylist.lists.page_json import (
    EXPORT_LINES_PER_PART,
    QueryAnswer,
    contains_json,
    export_lines,
    page_etag,
    page_frame,
    page_json,
)
from mylist.lists.ports import Catalogue, Client, ListCache

_MAX_PREFIX_ITEMS = 10_000
"""Above this many items, fetch the whole list: a huge page number must not produce a huge range."""
_SEED_BYTES = 6
_SLICE_BYTES = SLICE_SIZE * RECORD_SIZE


class Export(NamedTuple):
    """A whole list as JSON Lines or CSV. A long list comes in parts that are rendered while they are sent.

    Attributes:
        body: the lines.
        etag: of the list.
        total: number of items on the list.
        cache: the cache's part in the read.
    """

    body: bytes | Iterator[bytes]
    etag: str
    total: int
    cache: CacheResult


class ListReader:
    """Reads users' lists. Every method raises an `UnavailableError` if a store that it needs is out of service.

    Args:
        cache: the lists.
        catalogue: the movies and shows.
        pages: the rendered answers.
    """

    def __init__(self, cache: ListCache, catalogue: Catalogue, pages: PageCache) -> None:
        self._cache = cache
        self._catalogue = catalogue
        self._pages = pages

    async def items(
        self, user_id: str, request: PageRequest | ItemsQuery, client: Client
    ) -> tuple[RenderedPage, CacheResult]:
        """Return one page of a list, or of a query's result, and the cache's part in the read.

        Args:
            user_id: whose list.
            request: which page.
            client: if it already has the page, the body may be empty.

        Raises:
            InvalidGenreError: a genre of the query belongs to no movie or show.
            InvalidCursorError: the cursor is damaged, or belongs to another user or another query.
        """
        last_item = request.page * request.page_size if isinstance(request, PageRequest) else None
        max_items = last_item if last_item is None or last_item < _MAX_PREFIX_ITEMS else None
        packed, cache = await self._cache.read(user_id, max_items=max_items)
        source = packed.prefix(last_item)
        page = self._pages.find(user_id, request, source)
        if page is None or not (page.body or client.has(page.etag)):
            if isinstance(request, PageRequest):
                page = await self._page(user_id, request, packed, source, client)
            else:
                page = await self._query(user_id, request, packed, source, client)
            self._pages.keep(user_id, request, page)
        return page, cache

    async def contains(
        self, user_id: str, content_ids: list[str], key: ContainsKey
    ) -> tuple[RenderedPage, CacheResult]:
        """Return which ids, in the client's spelling, are on a list, and the cache's part in the read.

        Args:
            user_id: whose list.
            content_ids: the ids.
            key: the request, used as the key of its rendered answer.

        Raises:
            InvalidExternalIdError: an external id is malformed, or its name is not registered.
            AmbiguousExternalIdError: several titles have an external id.
        """
        packed, cache = await self._cache.read(user_id)
        page = self._pages.find(user_id, key, packed.data)
        if page is None:
            has_external = EXTERNAL_ID_SEPARATOR in "".join(content_ids)
            if has_external:
                content_ids = await self._titles_of(content_ids)
            body = contains_json(are_listed(content_ids, packed.records(0, packed.total)))
            page = RenderedPage(packed.data, body, key_bytes=len(key.body))
            if not has_external:  # an external id may move to another title
                self._pages.keep(user_id, key, page)
        return page, cache

    async def _titles_of(self, ids: list[str]) -> list[str]:
        """Return ids with external ones replaced by content ids; empty text for an external id without a title."""
        external = {each: (each, None) for each in ids if is_external(each)}
        found = await find_titles(self._catalogue, external.values(), even_old=True)
        titles = {each: the_only(found[named], each) for each, named in external.items()}
        return [(titles[each] or b"").hex() if each in titles else each for each in ids]

    async def counts(self, user_id: str) -> tuple[int, int, CacheResult]:
        """Return how many movies and how many shows are on a list, and the cache's part in the read."""
        packed, cache = await self._cache.read(user_id, max_items=0)
        return packed.movies, packed.shows, cache

    async def export(self, user_id: str) -> Export:
        """Return a whole list, one line an item, newest first."""
        packed, cache = await self._cache.read(user_id)
        etag = etag_of(packed.data)
        if packed.total > EXPORT_LINES_PER_PART:
            return Export(export_lines(packed), etag, packed.total, cache)
        key = ExportKey()
        page = self._pages.find(user_id, key, packed.data)
        if page is None:
            page = self._pages.keep(user_id, key, RenderedPage(packed.data, b"".join(export_lines(packed))))
        return Export(page.body, etag, packed.total, cache)

    async def export_csv(self, user_id: str) -> Export:
        """Return a whole list as CSV, one row an item, newest first."""
        packed, cache = await self._cache.read(user_id)
        entries, _ = await self._all_entries(packed.records(0, packed.total))
        etag = etag_of(b"csv\n%b%b" % (packed.data, b"".join([entry.version for entry in entries])))
        rows = csv_lines(packed, entries)
        return Export(rows if packed.total > EXPORT_LINES_PER_PART else b"".join(rows), etag, packed.total, cache)

    async def _page(
        self, user_id: str, request: PageRequest, packed: PackedList, source: bytes, client: Client
    ) -> RenderedPage:
        """Return a page. It is rendered unless its body is cached or the client has it.

        `source` is the part of the list that it depends on.
        """
        records = packed.records(*packed.bounds(*request))
        entries, fresh_until = await self._catalogue.entries(records)
        frame = page_frame(request, packed.total)
        etag = page_etag(frame, user_id, packed.header, records, entries)
        body = self._pages.body_of(user_id, request, etag)
        if not (body or client.has(etag)):
            body = page_json(frame, user_id, records, entries)
        return RenderedPage(source, body, etag, fresh_until, frame.head)

    async def _query(
        self, user_id: str, request: ItemsQuery, packed: PackedList, source: bytes, client: Client
    ) -> RenderedPage:
        """Return a page of a query's result. It is rendered unless its body is cached or the client has it.

        `source` is the part of the list that it depends on.
        """
        query, (page, page_size) = request.list_query, request.page_request
        title_order = self._catalogue.title_order
        start: int | CursorPosition = (page - 1) * page_size
        if request.cursor:
            query, start = decode_cursor(request.cursor, user_id, query, title_order)
        elif query.sort == "random" and query.seed is None:
            query = replace(query, seed=secrets.token_urlsafe(_SEED_BYTES))
        asked = request if query is request.list_query else replace(request, list_query=query)
        result = await self._select(packed, query, start, page_size, ids_only=request.ids_only)
        answer = QueryAnswer(user_id, asked, result, title_order)
        etag = answer.etag
        body = self._pages.body_of(user_id, request, etag)
        if not (body or client.has(etag)):
            body = answer.body
        fresh_until = result.fresh_until if request.is_repeatable else -math.inf
        return RenderedPage(source, body, etag, fresh_until, answer.head, request.text_length)

    async def _select(
        self, packed: PackedList, query: ListQuery, start: int | CursorPosition, max_items: int, *, ids_only: bool
    ) -> QueryPage:
        for name, genres in (("genre", query.genres), ("notGenre", query.excluded_genres)):
            for genre in genres:
                if not await self._catalogue.has_genre(genre):
                    raise InvalidGenreError(name)
        records = await records_of(packed, query)
        entries, fresh_until = await self._all_entries(records) if query.needs_catalogue else (None, math.inf)
        needed = None if isinstance(start, CursorPosition) else start + max_items
        selection = await select(query, records, entries, needed=needed)
        total = selection.total
        first = selection.first_after(start) if isinstance(start, CursorPosition) else start
        chosen = selection.order[first : first + max_items]
        items = records_at(records, chosen)
        page_entries = None
        if entries is not None:
            page_entries = [entries[index] for index in chosen]
        elif not ids_only:
            page_entries, fresh_until = await self._catalogue.entries(items)
        return QueryPage(
            items,
            None if ids_only else page_entries,
            total=total,
            end=selection.position_of(chosen[-1]) if chosen and first + max_items < total else None,
            fresh_until=fresh_until,
        )

    async def _all_entries(self, records: bytes) -> tuple[list[CatalogueEntry], float]:
        """Return the entries of many records, and the time at which they must be looked up again."""
        if len(records) <= _SLICE_BYTES:
            return await self._catalogue.entries(records)
        entries: list[CatalogueEntry] = []
        fresh_until = math.inf
        for start in range(0, len(records), _SLICE_BYTES):
            await asyncio.sleep(0)
            part, fresh = await self._catalogue.entries(records[start : start + _SLICE_BYTES])
            entries += part
            fresh_until = min(fresh_until, fresh)
        return entries, fresh_until
