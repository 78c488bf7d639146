"""The processor time of another process."""

import subprocess
import sys

import pytest

from bench.processor_time import processor_time

# Two threads; one of them has ended when the program waits for input.
WORK = """
import threading, time
def work():
    while time.thread_time() < 0.05:
        pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
work()
print(time.process_time(), flush=True)
input()
"""


def test_the_processor_time_includes_all_threads_but_not_waiting() -> None:
    with subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        own = float(process.stdout.readline())
        counted = processor_time(process.pid)
        process.stdin.write(b"\n")

    assert own >= 0.1
    assert own <= counted < own + 0.05


def test_the_processor_time_of_an_ended_process_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    with pytest.raises(OSError):  # noqa: PT011 - whichever errno the kernel has for it
        processor_time(process.pid)
