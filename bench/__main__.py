"""Measures the service side by side with what it stands on, in one run on one machine.

Each server is a process of its own, on the same stores; the rounds take turns, so that whatever else the machine does
falls on all alike. What counts are the ratios to the empty route of the same round. The load comes from wrk.

exit status: 0 every limit is kept, 1 one is not
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.cases import CASES, LIMITS, Server
from bench.wrk import Measurement, WrkMissingError, measure
from mylist.development.servers import MongoServer, ValkeyServer, running
from tests.serving import Service, answers, environment, free_port
from tests.waiting import wait_until

USERS = 1000
TITLES = 500
ITEMS = 25
DATABASE = "bench"


def main() -> int:
    """Runs the command line; gives the exit status."""
    arguments = _parser().parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mylist-bench-") as folder:
        try:
            results = _run(Path(folder), arguments.rounds, arguments.seconds)
        except WrkMissingError as error:
            print(f"bench: {error}", file=sys.stderr)  # noqa: T201 - the command's output
            return 1
    figures = _figures(results)
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")
    print(_table(figures))  # noqa: T201
    missed = [
        f"{limit.case} is {ratio:.2f} of {limit.of}; it has to be {limit.least:.2f}"
        for limit in LIMITS
        if (ratio := _ratio(results, limit.case, limit.of)) < limit.least
    ]
    print("\n".join(missed) or "every limit is kept")  # noqa: T201
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="how often each case is measured")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="how long each time")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), metavar="FILE")
    return parser


def _run(folder: Path, rounds: int, seconds: float) -> dict[str, list[Measurement]]:
    mongodb, redis = MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis")
    results: dict[str, list[Measurement]] = {case.name: [] for case in CASES}
    with ExitStack() as stack:
        stack.enter_context(running(mongodb, redis))
        stores = {"MONGODB_URI": mongodb.database(DATABASE), "REDIS_URL": redis.uri}
        _seed(folder, stores)
        urls = {server: _start(stack, folder, server, stores) for server in {case.server for case in CASES}}
        for number in range(-1, rounds):  # the first warms up
            for case in CASES:
                measured = measure(
                    urls[case.server],
                    case.requests,
                    connections=case.connections,
                    seconds=seconds,
                    users=USERS,
                )
                if measured.failed:
                    raise RuntimeError(f"{case.name}: {measured.failed} requests failed")
                if number >= 0:
                    results[case.name].append(measured)
                    print(f"{number + 1}/{rounds}  {case.name:<34} {measured.rate:9,.0f}/s", flush=True)  # noqa: T201
    return results


def _seed(folder: Path, stores: dict[str, str]) -> None:
    sizes = ["--users", str(USERS), "--titles", str(TITLES), "--items", str(ITEMS)]
    command = [sys.executable, "-m", "mylist", "seed", *sizes]
    subprocess.run(command, env=environment(stores), cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own


def _start(stack: ExitStack, folder: Path, server: Server, stores: dict[str, str]) -> str:
    if server.settings is None:
        port = free_port()
        program = [sys.executable, "-m", "bench.baseline", str(port), stores["REDIS_URL"]]
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        stack.callback(process.wait)
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/empty"), within=20)
        return url
    service = Service(folder, stores | {"LOG_LEVEL": "error"} | dict(server.settings))
    stack.callback(service.stop)
    service.wait_until_ready()
    wait_until(lambda: _believes(service.url), within=20)
    return service.url


def _believes(url: str) -> bool:
    answer = httpx.get(f"{url}/api/mylist/stats", headers={"user-id": "user-00000001"}, trust_env=False)
    return answer.headers["x-cache"] == "hit"


def _ratio(results: dict[str, list[Measurement]], case: str, of: str) -> float:
    """The median of the ratios of the rates, round by round."""
    return median(one.rate / other.rate for one, other in zip(results[case], results[of], strict=True))


def _figures(results: dict[str, list[Measurement]]) -> dict[str, Any]:
    return {
        "machine": {"python": platform.python_version(), "processor": platform.machine()},
        "cases": {
            name: {
                "rate": median(each.rate for each in rounds),
                "lowest": min(each.rate for each in rounds),
                "highest": max(each.rate for each in rounds),
                "p50": median(each.p50 for each in rounds),
                "p99": median(each.p99 for each in rounds),
                "ofEmptyRoute": _ratio(results, name, "empty route"),
                "rounds": [asdict(each) for each in rounds],
            }
            for name, rounds in results.items()
        },
        "limits": [{**asdict(limit), "ratio": _ratio(results, limit.case, limit.of)} for limit in LIMITS],
    }


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"{'case':<34} {'requests/s':>11} {'lowest':>9} {'highest':>9} {'p50 ms':>8} {'p99 ms':>8} {'of empty':>9}"
    ]
    lines += [
        f"{name:<34} {of['rate']:>11,.0f} {of['lowest']:>9,.0f} {of['highest']:>9,.0f} {of['p50']:>8.2f} "
        f"{of['p99']:>8.2f} {of['ofEmptyRoute']:>9.2f}"
        for name, of in figures["cases"].items()
    ]
    lines += [f"{each['case']} of {each['of']}: {each['ratio']:.3f}" for each in figures["limits"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
