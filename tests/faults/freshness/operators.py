"""The commands of operators that change lists, run beside the clients: `mylist erase`, `move` and `withdraw`."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from random import Random

from devtools.service_process import environment
from devtools.waiting import eventually
from tests.faults.freshness.answers import title_id
from tests.faults.freshness.deployment import Deployment, now
from tests.faults.freshness.history import OPERATOR, Action, Add, Contains, Discard, Operation, Remove
from tests.faults.freshness.linearizability import LATE_S
from tests.faults.freshness.tally import COMMANDS, Tally
from tests.faults.freshness.workload import TITLES, Crowd, Move, User

_PAUSE_S = (4.0, 12.0)
"""Seconds between two commands, once each was done: a command costs about a second of a core."""
_BROKEN_OFF = 1 / 8
"""The share of commands that are killed, as by an operator who closes the terminal."""
_LIFE_S = (0.3, 3.0)
_PATIENCE_S = 120.0
_WITHDRAWN = range(TITLES - 4, TITLES)
"""The titles that are withdrawn from all lists."""
_PASSES = 3
"""How often `mylist withdraw` goes through all lists, at most."""
_UNCHANGED = "nothing was changed"


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a command ended: what it printed, when it did its work, and whether it says that it changed nothing."""

    began: float
    ended: float
    printed: str
    error: str

    @property
    def is_done(self) -> bool:
        """Return whether it did its work; even then it may report concurrent changes of lists by others."""
        return bool(self.printed)

    @property
    def is_refused(self) -> bool:
        """Return whether it changed nothing."""
        return _UNCHANGED in self.error

    def note(self, user: User, request: str, certain: Iterable[Action], possible: Iterable[Action]) -> None:
        """Write down what it has done to a list, or may have done."""
        if self.is_refused:
            return
        user.history += (
            Operation(self.began, self.ended, OPERATOR, action, acknowledged=self.is_done, request=request)
            for action in (certain if self.is_done else possible)
        )


class Operators:
    """Runs one command after another, each with the settings of one of the service processes.

    Args:
        seed: of the pauses, and of the choices.
        crowd: whose lists are changed.
        deployment: the service.
        tally: counts the commands.
        program: what Python runs for `mylist`.
    """

    def __init__(
        self, seed: object, crowd: Crowd, deployment: Deployment, tally: Tally, program: Sequence[str]
    ) -> None:
        self._dice = Random(f"{seed} operators")
        self._crowd = crowd
        self._deployment = deployment
        self._tally = tally
        self._program = program
        self._kinds = cycle(COMMANDS)

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Go on until it is over."""
        while not is_over():
            kind = next(self._kinds)
            if self._tally.commands[kind, "done"] and not self._were_done():
                continue  # each kind is done once first, because a short run waits for that
            match kind:
                case "erase":
                    await self._erase(self._dice.choice(self._crowd.fickle))
                case "move":
                    await self._move(self._dice.choice(self._crowd.moves))
                case "withdraw":
                    await self._withdraw(self._dice.choice(_WITHDRAWN))
            deadline = now() + (self._dice.uniform(*_PAUSE_S) if self._were_done() else 0)
            while now() < deadline and not is_over():
                await asyncio.sleep(0.1)

    async def _erase(self, user: User) -> None:
        """Erase a user, whose devices sign out first: their change feeds do not report the erasure."""
        async with self._crowd.signed_out(user):
            done = await self._run("erase", "--user", user.id)
            titles = user.titles
            done.note(user, "erase", map(Discard, titles), map(Remove, titles))

    async def _withdraw(self, title: int) -> None:
        done = await self._run("withdraw", "--content", title_id(title))
        for user in self._crowd.users:
            # Each pass may remove what was added since the one before.
            if title in user.titles:
                done.note(user, "withdraw", [Discard(title)] * _PASSES, [Remove(title)] * _PASSES)

    async def _move(self, move: Move) -> None:
        """Move a list; the next calls retry until the move is done, and then move the list back."""
        if now() < move.rests_until:
            return
        done = await self._run("move", "--from", move.source.id, "--to", move.target.id)
        titles = [title for title, _ in move.items]
        additions = [Add(title, added_at) for title, added_at in move.items]
        done.note(move.source, "move", map(Discard, titles), map(Remove, titles))
        if not done.is_done:
            done.note(move.target, "move", [], additions)
            if done.is_refused and "Redis" not in done.error:
                self._tally.unexpected.append(f"mylist move: {done.error}")
            move.may_be_partly_done |= not done.is_refused
            return
        if move.may_be_partly_done:
            # An earlier run may have put any of them there; what is certain is that they are there now.
            here = [Contains(title, present=True) for title in titles]
            move.target.history += (
                Operation(done.began, done.ended, OPERATOR, each, acknowledged=False, request="move")
                for each in additions
            )
            done.note(move.target, "move", here, [])
            move.rests_until = now() + LATE_S
        else:
            done.note(move.target, "move", additions, [])
        move.source, move.target, move.may_be_partly_done = move.target, move.source, False

    async def _run(self, kind: str, *arguments: str) -> _Ended:
        settings = self._dice.choice(self._deployment.replicas).settings
        is_broken_off, life_s = self._dice.random() < _BROKEN_OFF, self._dice.uniform(*_LIFE_S)
        is_broken_off = is_broken_off and self._were_done()
        began = now()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._program,
            kind,
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(settings),
        )
        running = asyncio.create_task(process.communicate())
        try:
            if is_broken_off:
                await asyncio.wait([running], timeout=life_s)
            else:
                await asyncio.wait([running], timeout=_PATIENCE_S)
                if not running.done():
                    self._tally.unexpected.append(f"mylist {kind}: it did not end within {_PATIENCE_S:g} s")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            printed, error = await running
        done = _Ended(began, now(), printed.decode(), error.decode())
        how = "done" if done.is_done else "refused" if done.is_refused else "failed" if done.error else "killed"
        self._tally.commands[kind, how] += 1
        if done.error:
            self._tally.command_errors[kind, done.error.strip().rpartition("\n")[2]] += 1
        if "Traceback" in done.error:
            self._tally.unexpected.append(f"mylist {kind}: {done.error}")
        return done

    async def until_each_is_done(self, *, within: float) -> None:
        """Wait until each command was done at least once."""

        async def were_done() -> bool:
            return self._were_done()

        await eventually(were_done, within=within)

    def _were_done(self) -> bool:
        return all(self._tally.commands[kind, "done"] for kind in COMMANDS)
