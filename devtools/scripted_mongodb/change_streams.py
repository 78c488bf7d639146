"""Change streams on the members: the live data's events, up to the majority's place and without rolled-back writes.

The server behind reports its own writes at once. A member must not report a write that a majority does not have yet.
A client must never see a write that an election rolled back, nor its undoing. So events are held back here, by their
places in the order of the server's writes. SecantusDB has these places in its resume tokens.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.connections import HangUpError, ServerConnection
from devtools.scripted_mongodb.data import Snapshots, place_of
from devtools.scripted_mongodb.replica_set import Member
from devtools.scripted_mongodb.waiting import Gate
from devtools.scripted_mongodb.wire import Document, Request, encode_request, parse_reply

_POLL_S = 0.05
_DEFAULT_AWAIT_MS = 1000


@dataclass
class _Stream:
    """One that is open: the last token that its client has, and the events that it has not."""

    token: Document
    held: list[Document] = field(default_factory=list)


class ChangeStreams:
    """The change streams that clients have open.

    Args:
        snapshots: know the writes that were rolled back.
        gate: lets commands through to the server.
        committed_place: returns the last place of the live data that a member may report; None without limit.
    """

    def __init__(self, snapshots: Snapshots, gate: Gate, committed_place: Callable[[Member], int | None]) -> None:
        self._snapshots = snapshots
        self._gate = gate
        self._committed_place = committed_place
        self._open: dict[int, _Stream] = {}

    def concerns(self, command: Command) -> bool:
        """Return whether a command opens a change stream, or reads one that is open."""
        return command.opens_change_stream or (command.name == "getMore" and command.document["getMore"] in self._open)

    async def answer(self, member: Member, command: Command, request: Request, server: ServerConnection) -> Document:
        """Return the reply to such a command, which waits for events as the server itself would.

        Raises:
            HangUpError: the server is away.
        """
        if command.opens_change_stream:
            async with self._gate.shared():
                reply = await _ask(command.document, request, server)
            if "cursor" not in reply:
                return reply
            cursor = reply["cursor"]
            stream = self._open[cursor["id"]] = _Stream(_given_token(command) or cursor["postBatchResumeToken"])
            stream.held += cursor["firstBatch"]
            cursor["firstBatch"] = self._tellable(stream, member)
            cursor["postBatchResumeToken"] = stream.token
            return reply
        stream = self._open[command.document["getMore"]]
        deadline = time.monotonic() + command.document.get("maxTimeMS", _DEFAULT_AWAIT_MS) / 1000
        while True:
            async with self._gate.shared():
                reply = await _ask(command.document | {"maxTimeMS": 1}, request, server)
                if "cursor" not in reply:
                    return reply
                cursor = reply["cursor"]
                stream.held += cursor["nextBatch"]
                batch = self._tellable(stream, member)
                if not stream.held and not batch and self._committed_place(member) is None:
                    stream.token = cursor["postBatchResumeToken"]
            if batch or not cursor["id"] or time.monotonic() >= deadline:
                cursor["nextBatch"], cursor["postBatchResumeToken"] = batch, stream.token
                return reply
            await asyncio.sleep(_POLL_S)

    def _tellable(self, stream: _Stream, member: Member) -> list[Document]:
        """Take from a stream the events that the member may report."""
        limit = self._committed_place(member)
        told = []
        while stream.held and (limit is None or place_of(stream.held[0]["_id"]) <= limit):
            event = stream.held.pop(0)
            stream.token = event["_id"]
            if not self._snapshots.is_rolled_back(place_of(event["_id"])):
                told.append(event)
        return told


async def _ask(command: Document, request: Request, server: ServerConnection) -> Document:
    reply = await server.ask(encode_request(request.number, command), wants_reply=True)
    if reply is None:
        raise HangUpError
    return parse_reply(reply)


def _given_token(command: Command) -> Document | None:
    stage = command.document["pipeline"][0]["$changeStream"]
    token: Document | None = stage.get("startAfter") or stage.get("resumeAfter")
    return token
