"""The scripted MongoDB in a process of its own, so that it takes no time from the process that measures or loads.

    with in_process(server.uri, sites=3) as mongodb:
        mongodb.step_down(1, after_s=2)

As a program, `python -m devtools.scripted_mongodb` reads a key from its standard input, prints the port for its
control, and ends with its standard input.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, cast

from devtools.scripted_mongodb.scripted_mongodb import ScriptedMongoDB

_HOST = "127.0.0.1"
_ROOT = Path(__file__).parents[2]
_STOP_TIMEOUT_S = 10.0


class _Orders(BaseManager):
    """Carries calls of the methods of a `ScriptedMongoDB` to the process that has it."""


_Orders.register("scripted_mongodb", ScriptedMongoDB)


@contextmanager
def in_process(server: str, **options: Any) -> Iterator[ScriptedMongoDB]:
    """Run a `ScriptedMongoDB` with these options in a process of its own.

    Its methods return copies: the `hits` of a failure stay at zero.
    """
    key = secrets.token_hex()
    # In a session of its own the terminal's Ctrl-C does not reach it: it ends when its standard input does.
    with subprocess.Popen(
        [sys.executable, "-m", "devtools.scripted_mongodb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{key}\n")
            process.stdin.flush()
            orders = _Orders((_HOST, int(process.stdout.readline())), key.encode())
            orders.connect()
            mongodb = cast("ScriptedMongoDB", cast("Any", orders).scripted_mongodb(server, **options))
            mongodb.open()
            yield mongodb
            mongodb.close()
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Serve the parent process until standard input ends."""
    server = _Orders((_HOST, 0), sys.stdin.readline().strip().encode()).get_server()
    threading.Thread(target=_end_with_input, daemon=True).start()
    print(cast("tuple[str, int]", server.address)[1], flush=True)
    server.serve_forever()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)
