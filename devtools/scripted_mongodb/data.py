"""The data of members: the live data, and snapshots of it under other names in the same server."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import bson
import pymongo
from bson.binary import Binary
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.connections import ServerConnection
from devtools.scripted_mongodb.wire import Document, Request, encode_reply, encode_request, parse_reply

_CLOSING_TIMEOUT_S = 60.0
_MAX_REMEMBERED = 10_000
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_OF_THE_SERVER = frozenset({"admin", "config", "local"})


def place_of(token: Document) -> int:
    """Return the place of an event in the order of the server's writes, which SecantusDB's resume tokens have."""
    place: int = bson.decode(bytes.fromhex(token["_data"]))["s"]
    return place


class Data:
    """One history of the data.

    The server behind has retryable writes of its own. But it takes a retry with another `maxTimeMS` for a new write,
    and drivers with a deadline send such retries. A write that was rolled back must also run again. So the numbers of
    writes stop here.

    Attributes:
        prefix: of its databases' names in the server; empty for the live data.
        numbered: the retryable writes that it has had, by session and number, with their replies.
        place: of a copy, the last write of the live data that it has; see `place_of`.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.numbered: OrderedDict[tuple[Binary, int], asyncio.Task[bytes | None]] = OrderedDict()
        self.place = 0

    def remember_as(self, other: "Data") -> None:
        """Have had the same numbered writes as another history."""
        ended = {key: each for key, each in other.numbered.items() if each.done() and not each.exception()}
        self.numbered = OrderedDict(ended)

    async def ask(self, command: Command, request: Request, server: ServerConnection) -> bytes | None:
        """Have the server execute it and return the reply; a repeated write gets its first reply again.

        Raises:
            HangUpError: the server is away.
        """
        if not command.is_numbered:
            return await self._do(command, request, server)
        key = command.document["lsid"]["id"], command.document["txnNumber"]
        known = self.numbered.get(key)
        if known is None or (known.done() and known.exception()):
            known = self.numbered[key] = asyncio.create_task(self._do(command, request, server))
            while len(self.numbered) > _MAX_REMEMBERED:
                self.numbered.popitem(last=False)
        # The reply must survive its client, because another connection may retry the command.
        return await asyncio.shield(known)

    async def _do(self, command: Command, request: Request, server: ServerConnection) -> bytes | None:
        message = request.message
        if self.prefix or command.is_numbered:
            plain = {name: value for name, value in command.document.items() if name != "txnNumber"}
            message = encode_request(request.number, plain | {"$db": self.prefix + command.database})
        reply = await server.ask(message, wants_reply=request.wants_reply)
        if reply is None or not self.prefix:
            return reply
        said = parse_reply(reply)
        if "ns" in said.get("cursor", {}):
            said["cursor"]["ns"] = said["cursor"]["ns"].removeprefix(self.prefix)
        return encode_reply(request, said)


class Snapshots:
    """Copies of the data at a moment, in the server itself. Nothing else may use the server while one is made.

    Args:
        server: host and port.
        keeps: whether they stay at the end.

    Attributes:
        rolled_back: the ranges of the live data's writes that were undone, or that undid others: (after, up to).
    """

    def __init__(self, server: tuple[str, int], *, keeps: bool) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(*server, directConnection=True)
        self._keeps = keeps
        self._made = 0
        self._free: list[Data] = []
        self._databases: set[str] = set()
        self.rolled_back: list[tuple[int, int]] = []

    def note(self, database: str) -> None:
        """Copy a database from now on."""
        if database not in _OF_THE_SERVER:
            self._databases.add(database)

    async def take(self, data: Data) -> Data:
        """Return a copy."""
        if self._free:
            snapshot = self._free.pop()  # most of it is there already
        else:
            self._made += 1
            snapshot = Data(f"snapshot-{self._made}-")
        await self.copy(data, snapshot)
        return snapshot

    def release(self, data: Data) -> None:
        """Let a copy become another one; of the live data nothing happens."""
        if data.prefix and data not in self._free:
            self._free.append(data)

    async def copy(self, source: Data, target: Data) -> None:
        """Make the target equal to the source, by changing the differences only."""
        for name in self._databases:
            await _copy_database(self._client[source.prefix + name], self._client[target.prefix + name])
        target.remember_as(source)
        if target.prefix:
            target.place = source.place if source.prefix else await self._last_place()
        else:
            self.rolled_back.append((source.place, await self._last_place()))

    def is_rolled_back(self, place: int) -> bool:
        """Return whether an election has undone the write at a place of the live data, or it served to undo some."""
        return any(after < place <= last for after, last in self.rolled_back)

    async def _last_place(self) -> int:
        """Return the place of the server's last write; 0 if the server has no change streams."""
        stream = [{"$changeStream": {"allChangesForCluster": True}}]
        try:
            cursor = (await self._client.admin.command("aggregate", 1, pipeline=stream, cursor={}))["cursor"]
        except OperationFailure:
            return 0
        await self._client.admin.command("killCursors", "$cmd.aggregate", cursors=[cursor["id"]])
        return place_of(cursor["postBatchResumeToken"])

    async def close(self) -> None:
        """Drop all copies, unless they are kept or the server is gone."""
        if not self._keeps:
            with suppress(PyMongoError), pymongo.timeout(_CLOSING_TIMEOUT_S):
                for number in range(1, self._made + 1):
                    for name in self._databases:
                        await self._client.drop_database(f"snapshot-{number}-{name}")
        await self._client.close()


async def _copy_database(source: AsyncDatabase[Document], target: AsyncDatabase[Document]) -> None:
    names, there = set(await source.list_collection_names()), set(await target.list_collection_names())
    for name in there - names:
        await target.drop_collection(name)
    for name in names - there:
        await target.create_collection(name)
    for name in names:
        await _copy_indexes(source, target, name)
        old, new = await _documents(target, name), await _documents(source, name)
        wrong = [key for key, document in old.items() if document != new.get(key)]
        right = [document for key, document in new.items() if document != old.get(key)]
        if wrong:
            await target[name].delete_many({"_id": {"$in": wrong}})
        if right:
            await target.get_collection(name, _RAW).insert_many(right)


async def _copy_indexes(source: AsyncDatabase[Document], target: AsyncDatabase[Document], name: str) -> None:
    old, new = await _indexes(target, name), await _indexes(source, name)
    for each in old.keys() - new.keys():
        await target[name].drop_index(each)
    missing = [
        IndexModel(
            list(index["key"].items()), **{key: value for key, value in index.items() if key not in {"key", "v"}}
        )
        for each, index in new.items()
        if each not in old
    ]
    if missing:
        await target[name].create_indexes(missing)


async def _indexes(database: AsyncDatabase[Document], name: str) -> dict[str, Any]:
    """Return the indexes by name, but not those by which documents expire: only a primary deletes those."""
    indexes = await (await database[name].list_indexes()).to_list()
    return {each["name"]: each for each in indexes if each["name"] != "_id_" and "expireAfterSeconds" not in each}


async def _documents(database: AsyncDatabase[Document], name: str) -> dict[Any, Any]:
    found = await database.get_collection(name, _RAW).find().to_list()
    return {document["_id"]: document for document in found}
