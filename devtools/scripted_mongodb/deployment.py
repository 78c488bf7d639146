"""The deployment that clients see: its members answer their commands, or have the server behind them do it."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial

from bson import ObjectId

from devtools.scripted_mongodb.change_streams import ChangeStreams
from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.connections import HOST, HangUpError, Listener, ServerConnection
from devtools.scripted_mongodb.data import Data, Snapshots
from devtools.scripted_mongodb.elections import Elections
from devtools.scripted_mongodb.errors import STATE_CHANGES, add_write_concern_error, failed, write_failed
from devtools.scripted_mongodb.failures import Failure, Failures
from devtools.scripted_mongodb.hello import Topology, hello, topology_version
from devtools.scripted_mongodb.replica_set import Member, OpTime, ReplicaSet, Term
from devtools.scripted_mongodb.waiting import Gate
from devtools.scripted_mongodb.wire import Document, Request, encode_reply, parse_reply, set_request

_LOG_LENGTH = 20_000
_ILLEGAL_OPERATION, _RETRYABLE_WRITES_NOT_SUPPORTED = 20, 301
_NO_PRIMARY_FOUND = 133
_NO_CHANGE_STREAMS = 40573
_NOT_PRIMARY_NO_SECONDARY_OK, _NOT_PRIMARY_OR_SECONDARY = 13435, 13436
# The fields that standalone servers leave out.
_OF_SETS = ("$clusterTime", "operationTime")


@dataclass(frozen=True)
class _Write:
    """A write that took effect: in which term, and its place in the order of all."""

    term: Term
    time: OpTime


class Deployment:
    """The members, their listeners, and the script; it belongs to one event loop.

    Attributes:
        elections: the primary, and the data of the majority.
        failures: the scripted failures of commands.
        log: the last commands that came, the oldest first.
        counts: how many commands came, by name.
        hides_majority: whether members say nothing of a majority.
        hello_fields: other values in replies to `hello`; None leaves a field out.
    """

    def __init__(  # noqa: PLR0913 - named at the one call
        self,
        server: tuple[str, int],
        topology: Topology,
        *,
        sites: int,
        has_arbiter: bool,
        streams: bool,
        keeps_snapshots: bool,
    ) -> None:
        self.topology = topology
        self._live = Data()
        self._snapshots = Snapshots(server, keeps=keeps_snapshots)
        self._gate = Gate()
        self._set = ReplicaSet(topology.members, self._live, has_arbiter=has_arbiter)
        self.elections = Elections(self._set, self._live, self._snapshots, self._gate)
        self._change_streams = ChangeStreams(self._snapshots, self._gate, self._committed_place)
        self._cursors: dict[int, Data] = {}
        """Where the cursors are that were opened on a snapshot."""
        self.failures = Failures()
        self.log: deque[Command] = deque(maxlen=_LOG_LENGTH)
        self.counts: Counter[str] = Counter()
        self.hides_majority = False
        self.hello_fields: Document = {}
        self._streams = streams
        self.listeners = [
            [Listener(server, partial(self._answer, member, site)) for member in self._set.members]
            for site in range(sites)
        ]

    def addresses(self, site: int) -> list[str]:
        """Return the members' addresses as seen from a site."""
        return [f"{HOST}:{listener.port}" for listener in self.listeners[site]]

    def own_failures(self) -> list[BaseException]:
        """Return the unscripted faults of the proxy itself."""
        return [each for listeners in self.listeners for listener in listeners for each in listener.failures]

    async def open(self) -> None:
        """Accept connections."""
        for listeners in self.listeners:
            for listener in listeners:
                await listener.open()

    async def close(self) -> None:
        """End all connections."""
        self.elections.cancel()
        for listeners in self.listeners:
            for listener in listeners:
                await listener.close()
        await self._snapshots.close()

    def rolled_back(self) -> list[tuple[int, int]]:
        """Return the ranges of the live data's writes that elections have undone: (after, up to)."""
        return list(self._snapshots.rolled_back)

    async def kill(self, number: int) -> None:
        """End a member's process."""
        for listeners in self.listeners:
            await listeners[number].close()
        await self.elections.inform(number)

    async def revive(self, number: int) -> None:
        """Start a member's process again, as a secondary."""
        self._set.members[number].process_id = ObjectId()
        for listeners in self.listeners:
            listeners[number].resume("frozen")
            await listeners[number].open()

    async def _answer(self, member: Member, site: int, request: Request, server: ServerConnection) -> bytes | None:
        command = Command(request.command, member.number, site, time.monotonic())
        self.log.append(command)
        self.counts[command.name] += 1
        failure = self.failures.take(command)
        if failure is not None:
            await asyncio.sleep(failure.delay_s)
            if failure.closes == "before":
                raise HangUpError
        refusal = _scripted_refusal(failure, command)
        if refusal is not None:
            reply: Document | bytes | None = refusal
        elif command.is_hello:
            reply = await self._hello(member, site, command)
        elif self._change_streams.concerns(command) and self._refusal(member, command) is None:
            reply = await self._change_streams.answer(member, command, request, server)
        else:
            reply = await self._forward(member, command, request, server)
        if failure is not None and failure.closes == "after":
            raise HangUpError
        if reply is None or not request.wants_reply:
            return None
        if failure is not None and failure.write_concern_error is not None:
            said = parse_reply(reply) if isinstance(reply, bytes) else reply
            code = failure.write_concern_error
            reply = add_write_concern_error(said, command, code, failure.message, failure.labels)
        return reply if isinstance(reply, bytes) else encode_reply(request, self._dated(reply, member))

    def _dated(self, reply: Document, member: Member) -> Document:
        """Return a reply that shows a driver whether its error changes the topology."""
        codes = {reply.get("code"), reply.get("writeConcernError", {}).get("code")}
        if self._streams and codes & STATE_CHANGES:
            return reply | {"topologyVersion": topology_version(self._set, member)}
        return reply

    async def _hello(self, member: Member, site: int, command: Command) -> Document:
        known = command.document.get("topologyVersion")
        if known is not None:
            try:
                async with asyncio.timeout(command.document.get("maxAwaitTimeMS", 0) / 1000):
                    while known == topology_version(self._set, member):
                        await self._set.changes.wait()
            except TimeoutError:
                pass
        said = hello(
            self.topology,
            self._set,
            member,
            self.addresses(site),
            with_majority=not self.hides_majority,
            streams=self._streams,
        )
        return {name: value for name, value in (said | self.hello_fields).items() if value is not None}

    def _refusal(self, member: Member, command: Command) -> Document | None:
        """Return the reply of a member that cannot execute a command; None if it can."""
        if command.is_numbered and self.topology is Topology.STANDALONE:
            message = "Transaction numbers are only allowed on a replica set member or mongos"
            return failed(command, _ILLEGAL_OPERATION, message)
        if command.is_numbered and self.topology is Topology.DOCUMENTDB:
            return failed(command, _RETRYABLE_WRITES_NOT_SUPPORTED, "Retryable writes are not supported")
        if command.opens_change_stream and self.topology is Topology.STANDALONE:
            message = "The $changeStream stage is only supported on replica sets"
            return failed(command, _NO_CHANGE_STREAMS, message)
        code = self._role_forbids(member, command) if command.is_write or command.is_read else None
        return None if code is None else failed(command, code)

    def _role_forbids(self, member: Member, command: Command) -> int | None:
        if not self.topology.is_set:
            return _NO_PRIMARY_FOUND if self._set.primary is None else None
        if member.is_arbiter:
            return _NOT_PRIMARY_OR_SECONDARY
        if member.is_primary or (command.is_read and command.allows_secondary):
            return None
        return member.refuses_with if command.is_write else _NOT_PRIMARY_NO_SECONDARY_OK

    async def _forward(
        self, member: Member, command: Command, request: Request, server: ServerConnection
    ) -> Document | bytes | None:
        """Have the server do it, and wait for the majority that the command asks for."""
        executing = asyncio.create_task(self._execute(member, command, request, server))
        executing.add_done_callback(lambda task: task.cancelled() or task.exception())  # its client may be gone
        # A command that has begun ends, even when the client has gone.
        reply, write = await asyncio.shield(executing)
        if not isinstance(reply, bytes):
            return reply
        if write is not None and command.waits_for_majority:
            error = await write.term.majority(write.time, command.limit())
            if error is not None:
                return add_write_concern_error(parse_reply(reply), command, error)
        if self.topology in {Topology.STANDALONE, Topology.DOCUMENTDB_GATEWAY}:
            return {name: value for name, value in parse_reply(reply).items() if name not in _OF_SETS}
        return reply

    async def _execute(
        self, member: Member, command: Command, request: Request, server: ServerConnection
    ) -> tuple[Document | bytes | None, "_Write | None"]:
        """Have the server execute it with the member's data; return the reply, and the documents that were written."""
        async with self._gate.shared():
            if (refusal := self._refusal(member, command)) is not None:
                return refusal, None
            self._snapshots.note(command.database)
            term = (member.term if self.topology.is_set else None) or self._set.term
            data = self._data_for(command, term)
            reply = await data.ask(command, request, server)
            if reply is None:
                return None, None
            if data is not self._live:
                self._note_cursor(reply, data)
            reply = set_request(reply, request.number)  # to a repetition it is the same as to the first
            if not command.is_write:
                return reply, None
            committed = term.committed_data
            write = _Write(term, term.write())
            if term.committed_data is not committed:
                self._snapshots.release(committed)
            return reply, write

    def _committed_place(self, member: Member) -> int | None:
        """Return the last place of the live data that a member may report; None without limit."""
        committed = (member.term or self._set.term).committed_data
        return None if committed is self._live else committed.place

    def _data_for(self, command: Command, term: Term) -> Data:
        if command.name == "getMore":
            return self._cursors.get(command.document["getMore"], self._live)
        if command.name == "killCursors":
            return self._cursors.get(command.document["cursors"][0], self._live)
        return term.committed_data if command.reads_majority else term.data

    def _note_cursor(self, reply: bytes, data: Data) -> None:
        if cursor := parse_reply(reply).get("cursor", {}).get("id"):
            self._cursors[cursor] = data


def _scripted_refusal(failure: Failure | None, command: Command) -> Document | None:
    if failure is not None and failure.code is not None:
        return failed(command, failure.code, failure.message, failure.labels)
    if failure is not None and failure.write_error is not None:
        return write_failed(command, failure.write_error, failure.message)
    return None
