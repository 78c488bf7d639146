"""Finds the movies and shows of a file's lines: by ids, else by title, year and type; never by a guess."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from mylist.domain.articles import Language
from mylist.domain.content import CONTENT_TYPES, ContentType, content_key, split_content_key
from mylist.domain.external_id import ExternalId
from mylist.domain.found_title import FoundTitle
from mylist.domain.item import Item
from mylist.list_files.entry import Entry
from mylist.list_files.title_key import exact_key, spellings, title_key
from mylist.lists.candidates import TitlesById, ambiguous, described
from mylist.lists.list_import import NumberedLine, Unresolved

ENTRIES_PER_MATCH = 100
"""Lines that are looked up together, by a few queries."""


class Catalogue(Protocol):
    """Finds titles by ids; `mylist.catalogue.catalogue.Catalogue` implements it."""

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return the content keys that have a movie or show."""

    async def resolve(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType] = CONTENT_TYPES
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return the content keys of all titles that have each external id."""


class TitleSearch(TitlesById, Protocol):
    """Finds titles by name; `mylist.mongodb.title_search.TitleSearch` implements it on MongoDB."""

    async def named(self, content_type: ContentType, titles: Sequence[str]) -> list[FoundTitle]:
        """Return the titles of a type that have one of some names, regardless of case and accents."""


class TitleMatcher:
    """Finds the titles that lines name.

    Args:
        catalogue: finds titles by ids.
        search: finds titles by their names.
        language: language of the titles; their leading articles are ignored.
    """

    def __init__(self, catalogue: Catalogue, search: TitleSearch, language: Language) -> None:
        self._catalogue = catalogue
        self._search = search
        self._language: Language = language

    async def match(self, entries: Sequence[Entry], latest: int) -> list[NumberedLine]:
        """Return the line of each entry: its item, the titles that it may mean, or why it is invalid.

        Args:
            entries: at most `ENTRIES_PER_MATCH`.
            latest: the latest possible moment of saving, in milliseconds since 1970 UTC.

        Raises:
            UnavailableError: the catalogue cannot be searched.
        """
        sound = [each for each in entries if not each.problem and not each.unlisted]
        by_id = await self._by_id(sound)
        open_entries = [each for each in sound if each.number not in by_id]
        by_title = await self._by_title([each for each in open_entries if each.titles])
        found: dict[int, _Match] = {
            each.number: by_id.get(each.number) or by_title[each.number]
            for each in sound
            if each.number in by_id or each.number in by_title
        }
        unknown = {key for each in found.values() if len(each.keys) > 1 and not each.titles for key in each.keys}
        candidates = await described(self._search, unknown)
        return [self._line(each, found.get(each.number), candidates, latest) for each in entries]

    async def _by_id(self, entries: Sequence[Entry]) -> "dict[int, _Match]":
        """Return the titles of the entries' ids, without ids that have no title."""
        own = {
            each.number: content_key(each.content_id, each.content_type)
            for each in entries
            if each.content_id and each.content_type
        }
        existing = await self._catalogue.existing(own.values()) if own else set()
        matches = {number: _Match([key]) for number, key in own.items() if key in existing}
        others = [each for each in entries if each.number not in matches and each.external_ids]
        wanted = {external_id for each in others for external_id in each.external_ids}
        keys = await self._catalogue.resolve(wanted) if wanted else {}
        for each in others:
            of_type = dict.fromkeys(
                key
                for external_id in each.external_ids
                for key in keys.get(external_id, ())
                if each.content_type in {None, split_content_key(key)[1]}
            )
            if of_type:
                matches[each.number] = _Match(list(of_type))
        return matches

    async def _by_title(self, entries: Sequence[Entry]) -> "dict[int, _Match]":
        """Return the matches of the entries' titles."""
        if not entries:
            return {}
        names: dict[ContentType, dict[str, None]] = {each: {} for each in CONTENT_TYPES}
        for entry in entries:
            for content_type in (entry.content_type,) if entry.content_type else CONTENT_TYPES:
                for title in entry.titles:
                    names[content_type] |= dict.fromkeys(spellings(title, self._language))
        asked = [each for each in CONTENT_TYPES if names[each]]
        answers = await asyncio.gather(*(self._search.named(each, list(names[each])) for each in asked))
        by_key: dict[str, list[FoundTitle]] = defaultdict(list)
        for found in (each for answer in answers for each in answer):
            for key in {title_key(name, self._language) for name in (found.title, found.original_title) if name}:
                by_key[key].append(found)
        return {entry.number: self._chosen(entry, by_key) for entry in entries}

    def _chosen(self, entry: Entry, by_key: Mapping[str, list[FoundTitle]]) -> "_Match":
        keys = dict.fromkeys(title_key(title, self._language) for title in entry.titles)
        named = {
            (each.content_id, each.content_type): each
            for key in keys
            for each in by_key.get(key, ())
            if entry.content_type in {None, each.content_type} and not _has_another_id(entry, each)
        }
        fitting = [each for each in named.values() if None in {entry.year, each.year} or entry.year == each.year]
        if not fitting:
            return _Match([], near=list(named.values()))
        for narrower in (
            [each for each in fitting if entry.year is not None and each.year == entry.year],
            [each for each in fitting if each.content_type == entry.presumed_type],
            [each for each in fitting if _is_written_so(entry, each)],
        ):
            kept = [each for each in fitting if each in narrower]
            fitting = kept or fitting
        return _Match([content_key(each.content_id, each.content_type) for each in fitting], titles=fitting)

    def _line(
        self, entry: Entry, match: "_Match | None", candidates: Mapping[bytes, FoundTitle], latest: int
    ) -> NumberedLine:
        added_at = entry.added.at if entry.added else latest
        if entry.problem or added_at > latest:
            return NumberedLine(entry.number, entry.problem or "the date is in the future")
        has_date = entry.added is not None
        title = entry.titles[0] if entry.titles else " ".join(map(str, entry.external_ids))
        if entry.unlisted:
            return NumberedLine(entry.number, Unresolved(title, entry.year, reason=f"It is {entry.unlisted}"))
        if match is not None and len(match.keys) == 1:
            return NumberedLine(entry.number, Item(added_at, *split_content_key(match.keys[0])), has_date)
        if match is not None and match.keys:
            known = {content_key(each.content_id, each.content_type): each for each in match.titles}
            return NumberedLine(entry.number, ambiguous(title, entry.year, match.keys, known or candidates))
        if entry.content_id and entry.content_type:  # titles that were withdrawn but may still be on the list
            return NumberedLine(entry.number, Item(added_at, entry.content_id, entry.content_type), has_date)
        near = match.near if match is not None else []
        reason = "The titles with this name have a different year" if near else None
        if not entry.titles:
            reason = f"No {entry.content_type or 'movie or show'} has the external id {title}"
        return NumberedLine(
            entry.number,
            Unresolved(title, entry.year, near, may_mean=frozenset(each.content_id for each in near), reason=reason),
        )


class _Match:
    """The matches of a line.

    Attributes:
        keys: the content keys of all matching titles.
        titles: the matching titles, as far as their names are known.
        near: titles that have the name but do not match otherwise.
    """

    __slots__ = ("keys", "near", "titles")

    def __init__(
        self, keys: Sequence[bytes], titles: Sequence[FoundTitle] = (), near: Sequence[FoundTitle] = ()
    ) -> None:
        self.keys = keys
        self.titles = titles
        self.near = near


def _has_another_id(entry: Entry, found: FoundTitle) -> bool:
    """Return whether an external id of a title contradicts the line's: then it is another title of the same name."""
    return any(found.external_ids.get(each.name, each.value) != each.value for each in entry.external_ids)


def _is_written_so(entry: Entry, found: FoundTitle) -> bool:
    return bool({exact_key(each) for each in entry.titles} & {exact_key(found.title), exact_key(found.original_title)})
