"""Finds the titles that requests name by external ids, such as `imdb:tt0133093`.

If several titles have an external id, the service never guesses one of them. The content type of the request, or the
type before the external id, decides. Otherwise the id is refused.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, split_content_key
from mylist.domain.errors import AmbiguousExternalIdError, InvalidExternalIdError
from mylist.domain.external_id import ExternalId, TypedExternalId, parse_typed_external_id
from mylist.lists.ports import Catalogue

Named = tuple[str, ContentType | None]
"""An external id as the client wrote it, and the request's content type (None: not given)."""


async def find_title(catalogue: Catalogue, text: str, content_type: ContentType | None = None) -> ContentId | None:
    """Return the content id of the title with an external id; None if no title has it.

    Raises:
        InvalidExternalIdError: the external id is malformed, or its name is not registered.
        AmbiguousExternalIdError: several titles have the external id.
        UnavailableError: the catalogue must be asked and does not answer.
    """
    named = text, content_type
    return the_only((await find_titles(catalogue, [named]))[named], text)


async def find_titles(
    catalogue: Catalogue, named: Collection[Named], *, even_old: bool = False
) -> dict[Named, tuple[bytes, ...]]:
    """Return the content keys of all titles that have each external id.

    Args:
        catalogue: the movies and shows.
        named: the external ids.
        even_old: whether outdated entries are acceptable if the catalogue does not answer.

    Raises:
        InvalidExternalIdError: one is malformed, or its name is not registered.
        UnavailableError: the catalogue must be asked and does not answer.
    """
    parsed = {each: registered(each[0], catalogue.external_id_names) for each in named}
    return await titles_of(catalogue, parsed, even_old=even_old)


async def titles_of(
    catalogue: Catalogue, parsed: Mapping[Named, TypedExternalId], *, even_old: bool = False
) -> dict[Named, tuple[bytes, ...]]:
    """Return, for each parsed external id, the content keys of all titles that it may mean.

    Raises:
        UnavailableError: the catalogue must be asked and does not answer.
    """
    wanted: dict[tuple[ContentType, ...], set[ExternalId]] = defaultdict(set)
    for each, typed in parsed.items():
        wanted[_types(typed, each[1])].add(typed.external_id)
    groups = {types: external_ids for types, external_ids in wanted.items() if types}
    answers = await asyncio.gather(
        *(catalogue.resolve(external_ids, types, even_old=even_old) for types, external_ids in groups.items())
    )
    found = dict(zip(groups, answers, strict=True))
    return {
        each: found[types][typed.external_id] if (types := _types(typed, each[1])) else ()
        for each, typed in parsed.items()
    }


def the_only(keys: Collection[bytes], text: str) -> ContentId | None:
    """Return the content id of the only title with an external id; None if no title has it.

    Raises:
        AmbiguousExternalIdError: several titles have the external id.
    """
    titles = [split_content_key(key) for key in keys]
    if len(titles) > 1:
        raise AmbiguousExternalIdError(text, [f"{kind} {content_id.hex()}" for content_id, kind in titles])
    return titles[0][0] if titles else None


def registered(text: str, names: Sequence[str]) -> TypedExternalId:
    """Parse an external id that a client wrote. Its name must be among the registered `names`.

    Raises:
        InvalidExternalIdError: the external id is malformed, or its name is not registered.
    """
    typed = parse_typed_external_id(text)
    if typed is None or typed.external_id.name not in names:
        raise InvalidExternalIdError(text, names)
    return typed


def _types(typed: TypedExternalId, content_type: ContentType | None) -> tuple[ContentType, ...]:
    """Return the content types that the title may have; empty if the two given types differ."""
    given = {typed.content_type, content_type} - {None}
    return tuple(each for each in CONTENT_TYPES if not given or given == {each})
