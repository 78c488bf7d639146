"""Reading what wrk prints, and what the benchmark makes of it."""

import pytest

from bench import wrk
from bench.cases import CASES, LIMITS
from bench.wrk import Measurement, WrkMissingError

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
  37896 requests in 3.00s, 320.12MB read
Requests/sec:  12630.06
Transfer/sec:    106.69MB
"""


def test_what_wrk_prints_is_read_in_one_unit() -> None:
    assert wrk.read(PRINTED) == Measurement(rate=12630.06, p50=0.98, p90=1.58, p99=2.47, failed=0)


def test_requests_that_failed_are_counted() -> None:
    printed = PRINTED.replace(
        "Requests/sec",
        "  Socket errors: connect 1, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 40\nRequests/sec",
    )
    assert wrk.read(printed).failed == 46


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:9 Connection refused")


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WrkMissingError, match="apt-get install wrk"):
        wrk.measure("http://127.0.0.1:9", "empty", connections=1, seconds=1, users=1)


def test_limits_are_of_cases_that_are_measured() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {limit.case for limit in LIMITS} | {limit.of for limit in LIMITS} <= set(names)
