"""The commands that a service process sends to MongoDB, from the driver's reports.

    service = Service(folder, settings, program=recording(file))
    commands(file)

As a program, `recorded_commands.py FILE serve` is `mylist serve` that also writes each command into FILE.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo import monitoring

Document = dict[str, Any]

_WITHOUT_FILTER = {"create", "createIndexes", "listIndexes", "listCollections", "dropIndexes", "collStats"}
"""Commands on a collection as a whole."""
_IN_EACH = {"update": ("updates", "q"), "delete": ("deletes", "q"), "insert": ("documents", "")}
_FILTERED = {"find": "filter", "distinct": "query", "count": "query", "findAndModify": "query"}


def recording(file: Path) -> tuple[str, ...]:
    """Return what Python runs for a `mylist` whose commands end up in a file."""
    return ("-X", "faulthandler", "-P", __file__, str(file))


@dataclass(frozen=True)
class Command:
    """One command: its name, its database, and the whole document."""

    name: str
    database: str
    body: Document

    @property
    def collection(self) -> str:
        """The collection that it is about; empty for a command about none."""
        name = self.body["collection"] if self.name == "getMore" else self.body[self.name]
        return name if isinstance(name, str) else ""

    def filters(self) -> list[Document]:
        """Return the filters by which MongoDB decides which documents, and which shards, it is about.

        An inserted document is its own filter. A `getMore` goes where its `find` went.

        Raises:
            ValueError: the place of the filter is not known for commands of this name.
        """
        if self.name in _WITHOUT_FILTER or self.name == "getMore":
            return []
        if self.name in _FILTERED:
            return [self.body.get(_FILTERED[self.name], {})]
        if self.name in _IN_EACH:
            each, part = _IN_EACH[self.name]
            return [one[part] if part else one for one in self.body[each]]
        if self.name == "aggregate":
            first = self.body["pipeline"][0] if self.body["pipeline"] else {}
            return [first.get("$match", {})]
        raise ValueError(f"where does {self.name} have its filter?")


def commands(file: Path, collections: frozenset[str] | None = None) -> Iterator[Command]:
    """Yield the commands so far, oldest first; of these collections, unless all are wanted."""
    for line in file.read_text().splitlines() if file.exists() else ():
        name, database, body = json_util.loads(line)
        command = Command(name, database, body)
        if collections is None or command.collection in collections:
            yield command


class _Recorder(monitoring.CommandListener):
    def __init__(self, file: Path) -> None:
        self._file = file.open("w", buffering=1)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._file.write(json_util.dumps([event.command_name, event.database_name, event.command]) + "\n")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


if __name__ == "__main__":
    from mylist import cli

    monitoring.register(_Recorder(Path(sys.argv.pop(1))))
    cli.main()
