"""Reads the changes of all lists from MongoDB, in order, and goes on after failures from which MongoDB recovers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import pymongo
from bson import ObjectId
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, WriteConcernError

from mylist.events.event_lines import NoPreImageError, Told, lines_of, snapshot_line, time_of, token_text
from mylist.events.stream_errors import UNAUTHORIZED, final_error, lost, no_pre_images, refused_position
from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import DRIVER_ERRORS, Document, reason
from mylist.telemetry.line_limit import LineLimit

_T = TypeVar("_T")

_STEP_TIMEOUT_S = 10.0
"""Timeout of one command; after it, a hanging primary is given up."""
_READ_TIMEOUT_S = 5.0
"""Timeout of the next event. The driver also searches this long for a lost member that has the cursor."""
_MAX_AWAIT_MS = 1000
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.2, 5.0
_ENDS = frozenset({"drop", "rename", "dropDatabase", "invalidate"})
_PAGE_SIZE = 1000
_PRE_IMAGES: Document = {"enabled": True}
_NAMESPACE_EXISTS = 48
_SECANTUSDB_FIELD = "secantusVersion"
"""Only SecantusDB, the embedded server, has this field in its reply to `buildInfo`."""

_logger = logging.getLogger(__name__)


class ListStream:
    """One pass through the changes.

    Args:
        database: the service's database.
        address: MongoDB's address, for messages.
        restarted: called whenever the stream is reopened after an error.
    """

    def __init__(self, database: AsyncDatabase[Document], address: str, restarted: Callable[[], object]) -> None:
        self._database = database
        self._collection = database[LISTS]
        self._address = address
        self._restarted = restarted
        self._is_secantusdb = False
        self._refused: Document | None = None
        self._outage_lines = LineLimit(1, period_s=60)

    async def follow(self, load: Callable[[], Awaitable[Document | None]], *, snapshot: bool) -> AsyncIterator[Told]:
        """Yield changes, forever.

        Args:
            load: returns the token to resume after; None for now.
            snapshot: whether the items of all lists come first if there is no token.

        Raises:
            EventsError: the stream cannot go on.
        """
        await self._retried(self._require_streams)
        await self._retried(self._keep_pre_images)
        token = await self._retried(load)
        if token is None:
            # Causally consistent: the lists are read at a later time than the token's, even from another primary.
            async with self._database.client.start_session(causal_consistency=True) as session:
                token = await self._retried(partial(self._now, session))
                if snapshot:
                    async for lines in self._snapshot(session):
                        yield Told(lines, None, None)
            yield Told([], token, None)
        pause_s = _MIN_PAUSE_S
        while True:
            try:
                async for told in self._changes(token):
                    token, pause_s = told.token or token, _MIN_PAUSE_S
                    yield told
            except DRIVER_ERRORS as error:
                self._tell(error)
            self._restarted()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    async def _changes(self, token: Document) -> AsyncIterator[Told]:
        with pymongo.timeout(_STEP_TIMEOUT_S):
            stream = await self._resume(token)
        position = token
        async with stream:
            while stream.alive:
                asked_at = time.time()
                try:
                    with pymongo.timeout(_READ_TIMEOUT_S):
                        event = await stream.try_next()
                except OperationFailure as error:
                    if not self._refuses_token(error):
                        raise
                    return  # the driver tried to resume after a token that SecantusDB refuses
                if event is None:
                    position = await self._checked(dict(stream.resume_token or position), position)
                    yield Told([], position, asked_at)
                    continue
                if event["operationType"] in _ENDS:
                    raise lost(
                        f"{LISTS} in MongoDB at {self._address} was dropped or renamed, for example by a restore"
                    )
                try:
                    lines = lines_of(event, token_text(token))
                except NoPreImageError:
                    raise lost(
                        f"MongoDB at {self._address} has no pre-image of an item of {LISTS} that was removed or changed"
                    ) from None
                token = position = event["_id"]
                yield Told(lines, token, time_of(event).timestamp())

    async def _resume(self, token: Document) -> AsyncChangeStream[Document]:
        try:
            return await self._open(token)
        except OperationFailure as error:
            if not self._refuses_token(error):
                raise
            await self._now(None)  # raises the same error if the user lacks a right
            raise refused_position(error, self._address) from error

    async def _checked(self, token: Document, position: Document) -> Document:
        """Return the position after an empty batch: the batch's token, or the previous position if it is unusable.

        After a collection or an index was created, changed or dropped, SecantusDB reports a token that it refuses
        later. So a stream is opened after each token of SecantusDB before the token becomes a position.
        """
        if not self._is_secantusdb:
            return token
        if token in (position, self._refused):
            return position
        try:
            with pymongo.timeout(_STEP_TIMEOUT_S):
                stream = await self._open(token)
                await stream.close()
        except OperationFailure:
            self._refused = token
            return position
        return token

    def _refuses_token(self, error: OperationFailure) -> bool:
        return self._is_secantusdb and error.code == UNAUTHORIZED

    async def _open(
        self, token: Document | None, session: AsyncClientSession | None = None
    ) -> AsyncChangeStream[Document]:
        return await self._collection.watch(
            start_after=token,
            full_document_before_change="whenAvailable",
            max_await_time_ms=_MAX_AWAIT_MS,
            session=session,
        )

    async def _require_streams(self) -> None:
        await self._now(None)
        self._is_secantusdb = _SECANTUSDB_FIELD in await self._database.command("buildInfo")

    async def _now(self, session: AsyncClientSession | None) -> Document:
        async with await self._open(None, session) as stream:
            token: Any = stream.resume_token
            while token is None:  # the server may report the first token only with a batch
                await stream.try_next()
                token = stream.resume_token
        return dict(token)

    async def _keep_pre_images(self) -> None:
        """Make MongoDB keep pre-images of the documents of `mylist`, if it does not yet."""
        found = await (await self._database.list_collections(filter={"name": LISTS})).to_list()
        if found and found[0].get("options", {}).get("changeStreamPreAndPostImages", {}).get("enabled"):
            return
        try:
            if found:
                await self._database.command({"collMod": LISTS, "changeStreamPreAndPostImages": _PRE_IMAGES})
            else:  # if a service creates the collection at the same time, this is retried
                await self._database.create_collection(
                    LISTS, check_exists=False, changeStreamPreAndPostImages=_PRE_IMAGES
                )
        except OperationFailure as error:
            if error.timeout or isinstance(error, WriteConcernError) or error.code == _NAMESPACE_EXISTS:
                raise
            raise no_pre_images(error, self._address) from error
        _logger.warning(
            "MongoDB at %s keeps pre-images of %s from now on: each removal stores one more small document",
            self._address,
            LISTS,
        )

    async def _snapshot(self, session: AsyncClientSession) -> AsyncIterator[list[bytes]]:
        """Yield the lines of all items, in pages, so that a slow consumer keeps no cursor open."""
        after: ObjectId | None = None
        while True:
            ids = {"$type": "objectId"} if after is None else {"$gt": after, "$type": "objectId"}
            page = await self._retried(partial(self._page, session, {"_id": ids}))
            yield [line for line in map(snapshot_line, page) if line]
            if len(page) < _PAGE_SIZE:
                break
            after = page[-1]["_id"]
        # Other documents have ids of other types, which no single range covers.
        others = {"_id": {"$not": {"$type": "objectId"}}}
        page = await self._retried(partial(self._page, session, others, limit=0))
        yield [line for line in map(snapshot_line, page) if line]

    async def _page(self, session: AsyncClientSession, query: Document, limit: int = _PAGE_SIZE) -> list[Document]:
        return await self._collection.find(query, sort=[("_id", 1)], limit=limit, session=session).to_list()

    async def _retried(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Run a step; retry it while MongoDB is away."""
        pause_s = _MIN_PAUSE_S
        while True:
            try:
                with pymongo.timeout(_STEP_TIMEOUT_S):
                    return await step()
            except DRIVER_ERRORS as error:
                self._tell(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    def _tell(self, error: Exception) -> None:
        """Log a failure from which MongoDB may recover.

        Raises:
            EventsError: MongoDB will not recover from it.
        """
        if final := final_error(error, self._address):
            raise final from error
        if self._outage_lines.allows():
            _logger.error(
                "MongoDB at %s: %s; the process resumes at the same position once MongoDB answers",
                self._address,
                reason(error),
            )
