"""Moves a list to another user id.

Items are on both lists before they leave the first one. So an aborted run loses nothing, and the next run goes on: it
finds that one list is a part of the other, a state that only an aborted run leaves.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from mylist.adoption.fenced_writes import require_fences
from mylist.client.terminal import counts_table
from mylist.config.settings import Settings
from mylist.domain.content import ContentId
from mylist.domain.item import Item
from mylist.http.services import Services
from mylist.mongodb.lists import ListStore
from mylist.support.fenced_services import fenced_services

_ITEMS_AT_ONCE = 100
_ById = Mapping[ContentId, Item]


class NotMovedError(Exception):
    """The list cannot be moved; the message is one line. Nothing was changed."""


@dataclass(slots=True)
class Move:
    """The result of a run; in a dry run, the expected result.

    Attributes:
        moved: items that left the first list.
        already_there: moved items that the other list had before.
        redated: moved items that have an earlier date on the other list now.
        left: items on the first list at the end.
    """

    moved: int = 0
    already_there: int = 0
    redated: int = 0
    left: int = 0

    def table(self) -> str:
        """Return the counts as lines of text: a name, and a number."""
        return counts_table(
            [
                ("items moved", self.moved),
                ("of these on the other list before", self.already_there),
                ("of these with an earlier date now", self.redated),
                ("items left on the first list", self.left),
            ]
        )


async def move(settings: Settings, source: str, target: str, *, merges: bool, dry: bool) -> Move:
    """Add the items of a list to another with their dates, then remove them from the first; show a progress bar.

    An item of both lists gets the earlier date. An item that the other list has with the other content type stays.

    Args:
        settings: the settings of the running service.
        source: the user who has the list.
        target: the user who gets it.
        merges: whether the target may have other items.
        dry: whether to count only.

    Raises:
        NotMovedError: the target has other items, or would have too many.
        CacheOutOfReachError: lists may be cached where this command cannot reach them; nothing was changed.
        MongoRefusedError, UnavailableError: MongoDB fails, or Redis has gone away; the next run does the rest.
    """
    async with fenced_services(settings) as services:
        store = ListStore(services.database)
        mine, theirs = _by_id(await store.load(source)), _by_id(await store.load(target))
        _refuse(source, target, mine, theirs, merges=merges, max_items=settings.max_list_size)
        taken = {
            each for each, item in mine.items() if each in theirs and theirs[each].content_type != item.content_type
        }
        new = [item for content_id, item in mine.items() if content_id not in theirs]
        earlier = [
            item
            for content_id, item in mine.items()
            if content_id in theirs and content_id not in taken and item.added_at < theirs[content_id].added_at
        ]
        done = Move(len(mine) - len(taken), len(mine) - len(taken) - len(new), len(earlier), len(taken))
        if dry:
            return done
        with tqdm(total=len(new) + len(earlier) + done.moved, unit=" items", disable=None) as bar:
            for items, write in ((new, store.insert_many), (earlier, store.redate_many)):
                for part in _parts(items):
                    await _copy(services, target, part, write)
                    bar.update(len(part))
            # The target's owner may have removed some meanwhile. Items that are not there stay here.
            there = _by_id(await store.load(target))
            moved = [
                item
                for content_id, item in mine.items()
                if content_id in there and there[content_id].content_type == item.content_type
            ]
            done.moved = 0
            for part in _parts(moved):
                require_fences(services)
                done.moved += await services.writer.clear(source, part)
                bar.update(len(part))
        done.left = len(await store.load(source))
    return done


def told(done: Move, *, dry: bool) -> str:
    """Return the final report of a run: the counts, and what to do next."""
    return done.table() + ("\n\nNothing was changed. Next: the same command without --dry-run." if dry else "")


async def _copy(
    services: Services, target: str, items: Sequence[Item], write: Callable[[str, Sequence[Item]], Awaitable[object]]
) -> None:
    async with services.cache.writing(target):
        require_fences(services)
        with services.database.deadline():
            await write(target, items)


def _refuse(  # noqa: PLR0913 - private, one argument for each thing that it compares
    source: str, target: str, mine: _ById, theirs: _ById, *, merges: bool, max_items: int
) -> None:
    if not merges and not _is_part_of(theirs, mine) and not _is_part_of(mine, theirs):
        raise NotMovedError(
            f"{target} has {len(theirs):,} items, and {source} does not have all of them: add --merge to put the items "
            "of both on one list; nothing was changed"
        )
    if (total := len(mine.keys() | theirs.keys())) > max(max_items, len(theirs)):
        raise NotMovedError(
            f"the list of {target} would have {total:,} items, but MAX_LIST_SIZE is {max_items:,}; "
            "remove some first (nothing was changed)"
        )


def _is_part_of(some: _ById, others: _ById) -> bool:
    return all(others.get(content_id) == item for content_id, item in some.items())


def _by_id(items: Sequence[Item]) -> dict[ContentId, Item]:
    return {item.content_id: item for item in items}


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + _ITEMS_AT_ONCE] for start in range(0, len(items), _ITEMS_AT_ONCE))
