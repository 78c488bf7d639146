"""Commands that fail on a test's order, like the server's own fail point `failCommand`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from devtools.scripted_mongodb.command import Command


@dataclass
class Failure:
    """A failure of the commands of some names.

    Attributes:
        names: of the commands.
        count: the number of further commands that fail; None for all until it is lifted.
        code: the error in reply; nothing is done.
        write_error: the error of the first document in reply; nothing is done.
        write_concern_error: added to the reply; a write that is not refused otherwise takes effect.
        labels: of that reply; None for those that a server gives.
        message: of the error in reply; empty for any.
        closes: the connection ends without a reply: before the command takes effect, or after.
        delay_s: how long each command waits first.
        collection: fail only its commands; empty for any.
        database: sent to which only; empty for any. A driver's own `hello` is sent to `admin`.
        member: fail only commands to the member of this number; None for any.
        hits: how many commands it has happened to.
    """

    names: Sequence[str]
    count: int | None = 1
    code: int | None = None
    write_error: int | None = None
    write_concern_error: int | None = None
    labels: Sequence[str] | None = None
    message: str = ""
    closes: Literal["before", "after"] | None = None
    delay_s: float = 0.0
    collection: str = ""
    database: str = ""
    member: int | None = None
    hits: int = field(default=0, init=False)

    def applies_to(self, command: Command) -> bool:
        """Return whether it happens to a command."""
        return (
            self.count != 0
            and command.name in self.names
            and self.collection in {"", command.collection}
            and self.database in {"", command.database}
            and self.member in {None, command.member}
        )


class Failures:
    """The failures that are in force, the oldest first."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def add(self, failure: Failure) -> None:
        """Let a failure happen from now on."""
        self._failures.append(failure)

    def clear(self) -> None:
        """Lift all failures."""
        self._failures.clear()

    def take(self, command: Command) -> Failure | None:
        """Return the failure of a command, and count it; None if there is none."""
        failure = next((each for each in self._failures if each.applies_to(command)), None)
        if failure is not None:
            failure.hits += 1
            failure.count = None if failure.count is None else failure.count - 1
        return failure
