"""Which tokens of a change stream become positions: on SecantusDB, only those that it accepts."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

import pytest
from bson import Timestamp
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from mylist.events.list_stream import ListStream
from mylist.events.stream_errors import EventsError, UselessPositionError

Document = dict[str, Any]
Step = Document | Exception
MONGODB: Document = {"version": "8.2.11"}
SECANTUSDB: Document = {"version": "8.2.11", "secantusVersion": "0.7.0b3"}
REFUSAL = OperationFailure("not in the watch scope.", 13)


def token(name: str) -> Document:
    return {"_data": name}


def empty(name: str) -> Document:
    """An empty batch, and its token."""
    return {"batch": token(name)}


def event(name: str) -> Document:
    """An event that concerns no item."""
    return {"_id": token(name), "operationType": "modify", "clusterTime": Timestamp(1, 1)}


class FakeStream:
    """A change stream with given reads. A read may fail; after the last one, the stream is dead."""

    def __init__(self, steps: list[Step], start: Document) -> None:
        self._steps = steps
        self.resume_token = start

    @property
    def alive(self) -> bool:
        return bool(self._steps)

    async def try_next(self) -> Document | None:
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        self.resume_token = step["_id"] if "_id" in step else step["batch"]
        return step if "_id" in step else None

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class FakeDatabase:
    """A database and its lists.

    Args:
        build: its reply to `buildInfo`.
        refused: the tokens that it does not accept.
        steps: the reads of the streams. A stream that is opened only to check a token is not read.
    """

    def __init__(self, build: Document, *steps: Step, refused: tuple[str, ...] = ()) -> None:
        self.refused = refused
        self.opened: list[str] = []
        self.may_watch = True
        self._build = build
        self._steps = list(steps)

    def __getitem__(self, name: str) -> Self:
        assert name == "mylist"
        return self

    async def command(self, name: str) -> Document:
        assert name == "buildInfo"
        return self._build

    async def list_collections(self, **_: object) -> "FakeDatabase":
        return self

    async def to_list(self) -> list[Document]:
        return [{"options": {"changeStreamPreAndPostImages": {"enabled": True}}}]

    async def watch(self, *, start_after: Document | None, **_: object) -> FakeStream:
        if start_after is not None:
            self.opened.append(start_after["_data"])
        if not self.may_watch or (start_after and start_after["_data"] in self.refused):
            raise REFUSAL
        return FakeStream(self._steps, start_after or token("now"))


async def positions(database: FakeDatabase, count: int, *, before: Callable[[], None] = lambda: None) -> list[str]:
    """Return the tokens that a run from the position "a" gives out first.

    Args:
        database: that it follows.
        count: how many tokens.
        before: what happens once the run has begun, before it opens a stream at its position.
    """

    async def load() -> Document:
        before()
        return token("a")

    stream = ListStream(cast("AsyncDatabase[Document]", database), "host:27017", lambda: None)
    told = stream.follow(load, snapshot=False)
    tokens = [(await anext(told)).token for _ in range(count)]
    return [each["_data"] for each in tokens if each]


async def test_on_mongodb_the_token_of_an_empty_batch_is_a_position_at_once() -> None:
    database = FakeDatabase(MONGODB, empty("b"), event("c"), empty("d"))
    assert await positions(database, 3) == ["b", "c", "d"]
    assert database.opened == ["a"]


async def test_on_secantusdb_the_token_of_an_empty_batch_is_checked_once() -> None:
    steps = [empty("b"), empty("b"), empty("refused"), empty("refused"), event("c"), empty("refused"), empty("d")]
    database = FakeDatabase(SECANTUSDB, *steps, refused=("refused",))
    assert await positions(database, 7) == ["b", "b", "b", "b", "c", "c", "d"]
    assert database.opened == ["a", "b", "refused", "d"]


async def test_a_stream_is_opened_again_at_the_last_position_if_secantusdb_refuses_the_drivers_token() -> None:
    database = FakeDatabase(SECANTUSDB, empty("b"), empty("refused"), REFUSAL, event("c"), refused=("refused",))
    assert await positions(database, 3) == ["b", "b", "c"]
    assert database.opened == ["a", "b", "refused", "b"]


async def test_no_run_can_resume_from_a_position_that_secantusdb_refuses() -> None:
    database = FakeDatabase(SECANTUSDB, refused=("a",))
    with pytest.raises(UselessPositionError) as caught:
        await positions(database, 1)
    assert str(caught.value).startswith(
        "MongoDB at host:27017 cannot resume from the saved position: not in the watch scope; changes may be missing: "
    )


@pytest.mark.parametrize("build", [MONGODB, SECANTUSDB])
async def test_a_missing_right_is_no_lost_position(build: Document) -> None:
    database = FakeDatabase(build)
    with pytest.raises(
        EventsError, match=r"refuses: not in the watch scope\.; its user, MONGODB_USER, needs"
    ) as caught:
        await positions(database, 1, before=lambda: setattr(database, "may_watch", False))
    assert not isinstance(caught.value, UselessPositionError)
