"""Ties a server's life to the process that started it: `python tether.py PORT COMMAND...`.

The server runs as the tether's child. When the tether's standard input ends, because whoever holds the other
end closed it or died, even by SIGKILL, the server is ended: SIGTERM, then SIGKILL. The first line on standard
output is the server's process id; what the server prints goes to standard error. It runs as a script on the
standard library alone, so that it starts in milliseconds.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

_GRACE = 8.0
"""Seconds between SIGTERM and SIGKILL."""
_PATIENCE = 0.3
"""Seconds before SIGTERM is sent again."""
_POLL_INTERVAL = 0.02


def main(port: int, command: list[str]) -> int:
    """Runs the server that listens on a loopback port until it exits or is ended; gives its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - our own command
    try:
        print(server.pid, flush=True)  # noqa: T201 - the pipe to whoever started us
        threading.Thread(target=_end_with_parent, args=(server, port), daemon=True).start()
        return server.wait()
    finally:
        _end(server, port)


def _end_with_parent(server: subprocess.Popen[bytes], port: int) -> None:
    # Not sys.stdin: its lock, held by a thread that never returns, would break the interpreter's exit.
    while os.read(0, 1):
        pass
    _end(server, port)


def _end(server: subprocess.Popen[bytes], port: int) -> None:
    server.send_signal(signal.SIGCONT)  # a frozen server must run to hear the rest
    server.send_signal(signal.SIGTERM)
    asked = started = time.monotonic()
    while server.poll() is None and (now := time.monotonic()) < started + _GRACE:
        # Once is not enough: the signal may reach one of the server's threads, and Python acts on it only when the
        # main thread wakes up. A server that still accepts has not heard.
        if _accepts(port) and now >= asked + _PATIENCE:
            server.send_signal(signal.SIGTERM)
            asked = now
        time.sleep(_POLL_INTERVAL)
    server.kill()
    server.wait()


def _accepts(port: int) -> bool:
    """Whether the server accepts connections; also wakes SecantusDB's accept(), which looks for its end only then."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
