"""Ties a server's life to the process that started it: `python watchdog.py PORT COMMAND...`.

The server runs as the watchdog's child. When the watchdog's standard input ends, because the process at the other end
closed it or died (even by SIGKILL), the watchdog ends the server: SIGTERM, then SIGKILL. The first line on standard
output is the server's process id; the server's own output goes to standard error. The watchdog is a script that imports
only the standard library, so that it starts in milliseconds.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

_GRACE_PERIOD_S = 8.0
"""Between SIGTERM and SIGKILL."""
_RESEND_INTERVAL_S = 0.3
"""Between one SIGTERM and the next."""
_POLL_INTERVAL_S = 0.02


def main(port: int, command: list[str]) -> int:
    """Run the server that listens on a loopback port until it exits or is ended; return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - our own command
    try:
        print(server.pid, flush=True)  # noqa: T201 - the pipe to the process that started this one
        threading.Thread(target=_end_with_parent, args=(server, port), daemon=True).start()
        return server.wait()
    finally:
        _end(server, port)


def _end_with_parent(server: subprocess.Popen[bytes], port: int) -> None:
    # Not sys.stdin: this thread never returns, and its lock on sys.stdin would break the interpreter's exit.
    while os.read(0, 1):
        pass
    _end(server, port)


def _end(server: subprocess.Popen[bytes], port: int) -> None:
    server.send_signal(signal.SIGCONT)  # a frozen server cannot handle SIGTERM
    server.send_signal(signal.SIGTERM)
    started = last_sent = time.monotonic()
    while server.poll() is None and (now := time.monotonic()) < started + _GRACE_PERIOD_S:
        # Once is not enough: the signal may reach another thread of the server, and Python handles it only when the
        # main thread wakes up. A server that still accepts connections has not handled it.
        if _accepts(port) and now >= last_sent + _RESEND_INTERVAL_S:
            server.send_signal(signal.SIGTERM)
            last_sent = now
        time.sleep(_POLL_INTERVAL_S)
    server.kill()
    server.wait()


def _accepts(port: int) -> bool:
    """Return whether the server accepts connections; this also wakes SecantusDB's accept() to handle the signal."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
