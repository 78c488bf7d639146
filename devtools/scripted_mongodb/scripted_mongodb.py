"""The interface for tests: the deployment in a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, Self, TypeVar

from pymongo.uri_parser import parse_uri

from devtools.scripted_mongodb.command import HELLOS, Command
from devtools.scripted_mongodb.data import Data
from devtools.scripted_mongodb.deployment import Deployment
from devtools.scripted_mongodb.failures import Failure
from devtools.scripted_mongodb.hello import SET_NAME, Topology
from devtools.scripted_mongodb.replica_set import NOT_WRITABLE_PRIMARY

_T = TypeVar("_T")


class ScriptedMongoDB:
    """A deployment under a test's control. Use it as a context manager; all its methods may be called from any thread.

    Members and sites are numbers from 0. A site is a place in the network where clients are: each has addresses of its
    own for the members, so that it can be cut off from some of them.

    Args:
        server: the URI of the server that does the work; it needs no password.
        topology: what clients see.
        sites: how many.
        has_arbiter: whether the last member of the replica set is one.
        streams: whether members notify drivers of a change at once; else drivers poll every 10 s and after errors.
        keeps_snapshots: whether copies of the data stay in the server at the end. SecantusDB drops a few hundred
            documents a second, which is a waste of time for a server that is thrown away.
    """

    def __init__(  # noqa: PLR0913 - what a deployment is
        self,
        server: str,
        topology: Topology = Topology.REPLICA_SET,
        *,
        sites: int = 1,
        has_arbiter: bool = False,
        streams: bool = True,
        keeps_snapshots: bool = False,
    ) -> None:
        host, port = parse_uri(server)["nodelist"][0]
        self._deployment = Deployment(
            (host, port),
            topology,
            sites=sites,
            has_arbiter=has_arbiter,
            streams=streams,
            keeps_snapshots=keeps_snapshots,
        )
        self._topology = topology
        self._remembered: list[Data] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted MongoDB")

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Accept connections."""
        self._thread.start()
        self._run(self._deployment.open())

    def close(self) -> None:
        """End all connections, and drop the remembered snapshots.

        Raises:
            AssertionError: something went wrong in here.
        """
        self._run(self._deployment.close())
        self._run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for failure in self._deployment.own_failures():
            raise AssertionError("the scripted MongoDB failed by itself") from failure

    def uri(self, database: str = "", *, site: int = 0, options: str = "") -> str:
        """Return the connection string of the deployment, as seen from a site; `options` as in `a=b&c=d`."""
        given = [f"replicaSet={SET_NAME}"] if self._topology.is_set else []
        given += [options] if options else []
        return f"mongodb://{','.join(self.addresses(site=site))}/{database}?{'&'.join(given)}".rstrip("?")

    def member_uri(self, member: int, database: str = "", *, site: int = 0) -> str:
        """Return the connection string of one member alone."""
        return f"mongodb://{self.addresses(site=site)[member]}/{database}?directConnection=true"

    def addresses(self, *, site: int = 0) -> list[str]:
        """Return host and port of each member, as seen from a site."""
        return self._deployment.addresses(site)

    # Counts of commands.

    def commands(self, *names: str) -> list[Command]:
        """Return the last commands of these names, of 20,000 in all, the oldest first; all but `hello` for no name."""
        log = self._do(lambda: list(self._deployment.log))
        return [command for command in log if _is_among(command.name, names)]

    def count(self, *names: str) -> int:
        """Return how many commands of these names came; of all but `hello` for no name."""
        counts = self._do(lambda: dict(self._deployment.counts))
        return sum(count for name, count in counts.items() if _is_among(name, names))

    def forget_commands(self) -> None:
        """Reset the counts, and empty `commands`."""
        self._do(self._deployment.log.clear)
        self._do(self._deployment.counts.clear)

    # Failures of commands.

    def fail_command(  # noqa: PLR0913 - what can be scripted of a command
        self,
        *names: str,
        count: int | None = 1,
        code: int | None = None,
        write_error: int | None = None,
        write_concern_error: int | None = None,
        labels: Sequence[str] | None = None,
        message: str = "",
        closes: Literal["before", "after"] | None = None,
        delay_s: float = 0.0,
        collection: str = "",
        database: str = "",
        member: int | None = None,
    ) -> Failure:
        """Let something happen to commands; return it with its `hits`.

        Args:
            names: of the commands, as `find`, `getMore`, `update`, `createIndexes`, `hello`.
            count: how many; None for all, until `mend`.
            code: the error in reply, instead of doing anything.
            write_error: the same, but in the error of the first document in `writeErrors`.
            write_concern_error: the code of a `writeConcernError` in a reply that is otherwise what it would be; with
                `write_error`, or when the server itself refuses a document, the reply has both.
            labels: the error's; None for the labels that a server gives, as `RetryableWriteError`.
            message: the error's; empty for any.
            closes: end the connection without a reply, before the command takes effect or after.
            delay_s: how long to wait first.
            collection: fail only its commands; empty for any.
            database: sent to which only; empty for any. A driver's own `hello` is sent to `admin`.
            member: fail only commands to it; None for any.
        """
        failure = Failure(
            names,
            count=count,
            code=code,
            write_error=write_error,
            write_concern_error=write_concern_error,
            labels=labels,
            message=message,
            closes=closes,
            delay_s=delay_s,
            collection=collection,
            database=database,
            member=member,
        )
        self._do(lambda: self._deployment.failures.add(failure))
        return failure

    def mend(self) -> None:
        """Let commands succeed again."""
        self._do(self._deployment.failures.clear)

    # Replies to `hello`.

    def hide_majority(self, *, hides: bool = True) -> None:
        """Let members report no majority data, as right after a start."""
        self._deployment.hides_majority = hides

    def say(self, **fields: Any) -> None:
        """Let `hello` say something else in these fields, from now on and for these alone; None for nothing."""
        self._deployment.hello_fields = fields

    # The data of a majority.

    def lose_majority(self, for_s: float | None = None) -> None:
        """Let no secondary copy the primary's writes, for so many seconds or until `regain_majority`.

        Writes take effect on the primary, and majority reads do not see them. Those that ask for a majority are not
        acknowledged before it is back; at their `wtimeout` or `maxTimeMS` the reply has a `writeConcernError`.
        """
        self._run(self._deployment.elections.lose_majority(for_s))

    def regain_majority(self) -> None:
        """Let the secondaries copy all that the primary has written."""
        self._run(self._deployment.elections.regain_majority())

    # Who is primary.

    def primary(self) -> int | None:
        """Return the primary of the latest term; None while there is none."""
        return self._do(lambda: self._deployment.elections.primary)

    def step_down(
        self, successor: int, *, after_s: float = 0.0, code: int = NOT_WRITABLE_PRIMARY, reads_from: int | None = None
    ) -> None:
        """Let the primary step down, and another member be elected after so many seconds.

        Connections stay. The former primary refuses writes with `code`, also 11602 or 189 on real ones. The
        election rolls back the writes that a majority does not have.

        Args:
            successor: who is elected.
            after_s: after so many seconds.
            code: of the refusals.
            reads_from: see `elect`.
        """
        self._run(self._deployment.elections.step_down(successor, after_s, code, self._snapshot(reads_from)))

    def elect(self, successor: int, *, after_s: float = 0.0, reads_from: int | None = None) -> None:
        """Make a member primary. Writes that a majority does not have are rolled back.

        A primary that is alive does not learn of it until `inform`. It goes on with a copy of its data: to it and its
        clients all seems well, but no majority has what it writes from now on.

        Args:
            successor: who is elected.
            after_s: after so many seconds, in which there is no primary, or the former one goes on.
            reads_from: what `remember` returned. The new primary's majority reads are as old as that until its first
                write, or until `regain_majority`; and that long it says that a majority has nothing of its term.
        """
        self._run(self._deployment.elections.elect(successor, after_s, self._snapshot(reads_from)))

    def inform(self, member: int) -> None:
        """Let a member learn that it was replaced: it steps down, and its writes since then are gone."""
        self._run(self._deployment.elections.inform(member))

    def remember(self) -> int:
        """Take a snapshot of the majority's data; return a number for one `reads_from`."""
        self._remembered.append(self._run(self._deployment.elections.remember()))
        return len(self._remembered) - 1

    def rolled_back(self) -> list[tuple[int, int]]:
        """Return the ranges of the server's writes that elections have undone, or that undid others.

        Each range is a pair of places: after the first, up to the second. `devtools.scripted_mongodb.data.place_of`
        returns the place of a write.
        """
        return self._do(self._deployment.rolled_back)

    def _snapshot(self, number: int | None) -> Data | None:
        return None if number is None else self._remembered[number]

    # Faults of processes and of the network.

    def kill(self, member: int) -> None:
        """End a member's process: its connections end, and new ones are refused. A dead member is not primary."""
        self._run(self._deployment.kill(member))

    def revive(self, member: int) -> None:
        """Start a dead member again, as a secondary."""
        self._run(self._deployment.revive(member))

    def freeze(self, member: int) -> None:
        """Suspend a member: connections stay open, and nothing is answered."""
        for listeners in self._deployment.listeners:
            self._do(partial(listeners[member].silence, "frozen"))

    def thaw(self, member: int) -> None:
        """Resume a frozen member, which continues where it stopped."""
        for listeners in self._deployment.listeners:
            self._do(partial(listeners[member].resume, "frozen"))

    def cut(self, member: int, *, site: int) -> None:
        """Let a site's packets to and from a member be lost; connections stay open."""
        self._do(partial(self._deployment.listeners[site][member].silence, "cut"))

    def heal(self, member: int, *, site: int) -> None:
        """Let that site reach the member again."""
        self._do(partial(self._deployment.listeners[site][member].resume, "cut"))

    def _run(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def _do(self, what: Callable[[], _T]) -> _T:
        async def doing() -> _T:
            return what()

        return self._run(doing())


async def _cancel_all() -> None:
    """Cancel the requests to a server that does not answer."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)


def _is_among(name: str, names: Sequence[str]) -> bool:
    return name in names if names else name not in HELLOS
