"""Reading what wrk prints."""

import os
from pathlib import Path

import pytest

from bench import wrk
from bench.samples import Sample
from bench.wrk import Load, Workload, WrkError

NOWHERE = Load("http://127.0.0.1:9", Workload("empty", "user-", 1, Path("etags")), connections=1, server=os.getpid())

PRINTED = """Running 3s test @ http://127.0.0.1:3000
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.26ms  310.05us   6.60ms   89.59%
    Req/Sec    12.70k     1.04k   14.37k    73.33%
  Latency Distribution
     50%  980.00us
     75%    1.31ms
     90%    1.58ms
     99%    2.47ms
  40000 requests in 3.00s, 320.00MB read
Requests/sec:  12630.06
Transfer/sec:    106.69MB
"""


def test_the_output_of_wrk_is_read_in_fixed_units() -> None:
    read = wrk.read(PRINTED, generator=0.3, server=1.5)

    size = 320 * 2**20 / 40000
    assert read == Sample(rate=12630.06, p50=0.98, p99=2.47, size=size, generator=0.3, processor=37.5)


def test_seconds_that_wrk_pads_with_a_space_are_read() -> None:
    read = wrk.read(PRINTED.replace("2.47ms", "  1.86s "), generator=0.3, server=1.5)

    assert read.p99 == 1860


def test_the_share_of_late_requests_of_an_open_loop_is_read() -> None:
    read = wrk.read(f"{PRINTED}Sent late: 30 of 40000\n", generator=0.3, server=1.5)

    assert read.late == 30 / 40000


@pytest.mark.parametrize(
    "line",
    ["  Socket errors: connect 1, read 2, write 0, timeout 37\n", "  Non-2xx or 3xx responses: 40\n"],
)
def test_a_run_with_failed_requests_is_refused(line: str) -> None:
    with pytest.raises(WrkError, match="40 requests failed"):
        wrk.read(PRINTED.replace("Requests/sec", f"{line}Requests/sec"), generator=0, server=0)


def test_output_without_a_result_is_refused() -> None:
    with pytest.raises(WrkError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:9 Connection refused", generator=0, server=0)


def test_the_error_says_how_to_install_wrk_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WrkError, match="apt-get install wrk"):
        wrk.measure(NOWHERE)


@pytest.mark.usefixtures("generator")
def test_the_error_names_an_unreachable_server() -> None:
    with pytest.raises(WrkError, match=r"unable to connect to 127\.0\.0\.1"):
        wrk.measure(NOWHERE)
