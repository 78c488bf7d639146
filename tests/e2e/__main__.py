"""Installs the chart on the cluster of `KUBECONFIG`, treats it roughly, and prints a table of the results.

It makes a namespace of its own, and deletes it at the end of the run. Outside the namespace it touches one node, which
is cordoned during the drain. The cluster must be able to pull the images.

exit status: 0 every step passed, 1 one failed, 2 there is nothing to run it with
"""

import argparse
import secrets
import signal
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

from tests.chart.tools import helm
from tests.e2e.cluster import Cluster, CommandError, eventually, run
from tests.e2e.runner import run_steps, say
from tests.e2e.steps import STEPS, Run
from tests.e2e.table import passed, table

_UNUSABLE = 2
_ROOT = Path(__file__).parents[2]
_FURNITURE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
"""The objects that the cluster itself puts into each namespace."""


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` runs
    try:
        cluster = Cluster(f"mylist-e2e-{secrets.token_hex(3)}", helm.path())
        say(f"on {run('kubectl', 'config', 'current-context').strip()}, in namespace {cluster.namespace}")
        cluster.make()
    except (CommandError, pytest.skip.Exception, pytest.fail.Exception) as error:  # the last two if there is no Helm
        sys.stderr.write(f"e2e: {error}\n")
        return _UNUSABLE
    try:
        eventually("a namespace with what the cluster puts into it", partial(_is_furnished, cluster), within=60)
        before = cluster.all(cluster.kinds())
        shared = Run(cluster, arguments.image, arguments.loadtest_image, arguments.values, before)
        rows = run_steps([(name, partial(step, shared)) for name, step in STEPS], partial(diagnosis, cluster))
    finally:
        cluster.remove()
    sys.stdout.write(f"\n{table(rows)}\n")
    return 0 if passed(rows) else 1


def diagnosis(cluster: Cluster) -> str:
    """Return information on a failure: the pods, the latest events, the last log lines of each pod."""
    text = [""]
    for question in (
        ("get", "pods", "--output=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", "--selector=app.kubernetes.io/part-of=mylist", "--prefix", "--tail=15", "--max-log-requests=20"),
    ):
        try:
            answer = cluster.kubectl(*question)
        except CommandError as error:
            answer = str(error)
        text += [f"--- kubectl {' '.join(question)}", *answer.splitlines()[-60:]]
    return "\n".join(text)


def _is_furnished(cluster: Cluster) -> bool:
    there = cluster.all("configmaps,serviceaccounts")
    return {(each["kind"], each["metadata"]["name"]) for each in there} >= _FURNITURE


def _parser() -> argparse.ArgumentParser:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--image",
        default=f"mylist:{project['version']}",
        metavar="NAME:TAG",
        help="the service's (default %(default)s)",
    )
    parser.add_argument(
        "--loadtest-image",
        default=f"mylist-loadtest:{project['version']}",
        metavar="NAME:TAG",
        help="Locust's (default %(default)s)",
    )
    parser.add_argument(
        "--values",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more values of the chart, for instance where the images of its stores are; may be given several times",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
