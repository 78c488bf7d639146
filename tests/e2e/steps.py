"""The steps of a run on a release, and the expected observations.

A step returns its observations for the table; an AssertionError or a CommandError has the reason for a failure.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import locust_job
from tests.e2e.background_load import background_load, failures_last, summary
from tests.e2e.cluster import Cluster, CommandError, Object, eventually, is_ready
from tests.e2e.leftovers import left, undocumented

RELEASE = "mylist"
"""The name that k8s/loadtest expects; runs differ in their namespaces."""
CHART = Path(__file__).parents[2] / "charts" / "mylist"
_VALUES = Path(__file__).with_name("values.yaml")
_API = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "api"}
_REDIS = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "redis"}
_MONGODB = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "mongodb"}
_OWN_LABEL = "mylist-e2e"
"""The label of the pods that the drain evicts, because a node has pods of other releases as well."""

_INSTALL_TIMEOUT_S = 600
_REACTION_TIMEOUT_S = 300
"""Seconds for the cluster to react: images, probes, the autoscaler's windows."""
_MAX_OUTAGE_S = 10
"""Seconds in which requests may fail after a pod was killed without a warning: until all nodes stop using the pod."""
_LOCUST = {
    "LOADTEST_SCENARIO": "mixed",
    "LOCUST_USERS": "120",
    "LOCUST_RUN_TIME": "90s",
    "LOCUST_HOST": "http://mylist:80",
    "LOADTEST_PEOPLE": "1000",
    "LOADTEST_TITLES": "500",
}


@dataclass
class Run:
    """The data that the steps share."""

    cluster: Cluster
    image: str
    loadtest_image: str
    values: list[Path]
    before: list[Object] = field(default_factory=list)
    """The objects of the namespace before the release."""

    @property
    def upgrade(self) -> list[str]:
        """The common arguments of each `helm upgrade`."""
        return [
            "upgrade",
            RELEASE,
            str(CHART),
            "--reset-then-reuse-values",
            "--wait",
            f"--timeout={_INSTALL_TIMEOUT_S}s",
        ]

    def pods(self) -> list[Object]:
        """Return the pods of the service."""
        return self.cluster.all("pods", _API)

    def serving(self) -> list[Object]:
        """Wait until exactly the expected number of pods get requests, and return them."""
        return eventually("as many ready pods as shall be", self._settled, within=_REACTION_TIMEOUT_S)

    def _settled(self) -> list[Object] | None:
        deployment = self.cluster.get("deployment", RELEASE)
        pods = self.pods()
        wanted = deployment["spec"]["replicas"]
        observed = deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]
        return pods if observed and len(pods) == wanted and all(map(is_ready, pods)) else None


def install(run: Run) -> str:
    """Install the chart; every pod must become ready at the first attempt."""
    repository, _, tag = run.image.rpartition(":")
    values = [word for path in (_VALUES, *run.values) for word in ("--values", str(path))]
    run.cluster.helm(
        *("install", RELEASE, str(CHART), *values, "--wait", "--wait-for-jobs", f"--timeout={_INSTALL_TIMEOUT_S}s"),
        *("--set", f"image.repository={repository},image.tag={tag}"),
        *("--set", f"podLabels.{_OWN_LABEL}={run.cluster.namespace}"),
        within=_INSTALL_TIMEOUT_S + 30,
    )
    pods = run.serving()
    restarts = sum(status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"])
    assert restarts == 0, f"{restarts} restarts of the service"
    nodes = {pod["spec"]["nodeName"] for pod in pods}
    return f"{len(pods)} pods on {len(nodes)} nodes, no restart, Pod Security Standard restricted"


def helm_test(run: Run) -> str:
    """Run the test of the chart; if it fails, the last line of its pod has the reason."""
    try:
        told = run.cluster.helm("test", RELEASE, f"--timeout={_REACTION_TIMEOUT_S}s", within=_REACTION_TIMEOUT_S + 30)
    except CommandError as error:
        raise CommandError(_last_line(run.cluster, f"{RELEASE}-test") or str(error)) from None
    assert "Phase:          Succeeded" in told, told
    return "an item was added, read and removed through the Service"


def _last_line(cluster: Cluster, pod: str) -> str:
    try:
        return cluster.kubectl("logs", pod, "--tail=1").strip()
    except CommandError:  # the pod has not started
        return ""


def scale(run: Run) -> str:
    """Load the service with Locust until its autoscaler creates more pods; no request may be lost.

    The capacity of the first few pods depends on the cluster's machines: the table shows refused requests and Locust's
    thresholds, but they do not decide.
    """
    few = len(run.serving())
    made = locust_job.objects(_LOCUST, run.loadtest_image, run.cluster.namespace)
    run.cluster.apply(made)
    try:
        began = time.monotonic()
        eventually(
            f"more than {few} pods ready", lambda: sum(map(is_ready, run.pods())) > few, within=_REACTION_TIMEOUT_S
        )
        seconds = time.monotonic() - began
        eventually("a verdict of Locust", lambda: locust_job.has_ended(run.cluster), within=_REACTION_TIMEOUT_S)
        many = len(run.serving())
        verdict = locust_job.read_verdict(run.cluster.kubectl("logs", f"job/{locust_job.MASTER}"))
    finally:
        names = [f"{each['kind']}/{each['metadata']['name']}" for each in made]
        run.cluster.kubectl("delete", "--ignore-not-found", "--wait", *names, within=120)
    assert not locust_job.lost(verdict), f"{locust_job.summary(verdict)}: {verdict['failures']}"
    return f"{few} pods became {many}, the first after {seconds:.0f} s; {locust_job.summary(verdict)}"


def upgrade(run: Run) -> str:
    """Replace every pod under load; no request may fail."""
    old = {pod["metadata"]["name"] for pod in run.serving()}
    with background_load(run.cluster, "upgrade", run.image) as load:
        run.cluster.helm(*run.upgrade, "--set-string", "podAnnotations.upgraded=yes", within=_INSTALL_TIMEOUT_S + 30)
        new = {pod["metadata"]["name"] for pod in run.serving()}
    assert not old & new, f"{sorted(old & new)} were not replaced"
    _nothing_failed(load.seen)
    return f"all {len(old)} pods replaced; {summary(load.seen)}"


def kill_pod(run: Run) -> str:
    """Kill a pod without a warning: only its requests in flight are lost."""
    victim = run.serving()[0]["metadata"]["name"]
    with background_load(run.cluster, "kill", run.image) as load:
        run.cluster.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        eventually("rid of the pod", lambda: victim not in {pod["metadata"]["name"] for pod in run.pods()}, within=60)
        run.serving()
    seen = load.seen
    assert not seen["stale_count"], summary(seen)
    answered = [reason for _, reason in seen["failed"] if reason[0].isdigit()]
    assert not answered, f"failures that no killed pod explains: {answered}"
    outage = failures_last(seen)
    assert outage <= _MAX_OUTAGE_S, f"requests failed for {outage:.1f} s; {summary(seen)}"
    return f"requests failed for {outage:.1f} s; {summary(seen)}"


def drain_node(run: Run) -> str:
    """Drain a node that has pods of the service, under load; no request may fail."""
    with background_load(run.cluster, "drain", run.image) as load:
        pods = run.serving()
        stores = run.cluster.all("pods", _MONGODB) + run.cluster.all("pods", _REDIS)
        node = drainable(pods, stores, load.node)
        evicted = {pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == node}
        with _drained(run, node):
            moved = run.serving()
            assert all(pod["spec"]["nodeName"] != node for pod in moved), f"pods came back to {node}"
    assert not evicted & {pod["metadata"]["name"] for pod in moved}, f"{sorted(evicted)} were not evicted"
    _nothing_failed(load.seen)
    return f"evicted from {node}: {len(evicted)} of {len(pods)} pods; {summary(load.seen)}"


def drainable(pods: list[Object], stores: list[Object], busy: str) -> str:
    """Choose a node that has pods of the service, and neither its stores nor the load."""
    taken = {pod["spec"]["nodeName"] for pod in stores} | {busy}
    free: list[str] = sorted({pod["spec"]["nodeName"] for pod in pods} - taken)
    assert free, "no node has pods of the service and neither its stores nor the load: it takes three workers"
    return free[0]


@contextmanager
def _drained(run: Run, node: str) -> Iterator[None]:
    try:
        run.cluster.kubectl("cordon", node)
        run.cluster.kubectl(
            *("drain", node, f"--pod-selector={_OWN_LABEL}={run.cluster.namespace}"),
            *("--delete-emptydir-data", f"--timeout={_REACTION_TIMEOUT_S}s"),
            within=_REACTION_TIMEOUT_S + 30,
        )
        yield
    finally:
        run.cluster.kubectl("uncordon", node)


def kill_redis(run: Run) -> str:
    """Kill Redis under load: the service continues with MongoDB, and uses the cache again once Redis is back."""
    redis = run.cluster.all("pods", _REDIS)
    assert redis, "the release has no Redis of its own to kill"
    [killed] = redis
    name, uid = killed["metadata"]["name"], killed["metadata"]["uid"]
    run.serving()
    with background_load(run.cluster, "redis", run.image) as load:
        began = time.monotonic()
        run.cluster.kubectl("delete", "pod", name, "--grace-period=0", "--force")
        eventually("a Redis again", lambda: _replaced(run, uid), within=_REACTION_TIMEOUT_S)
        away = time.monotonic() - began
    with background_load(run.cluster, "cached", run.image) as after:
        pass
    restarts = sum(status["restartCount"] for pod in run.serving() for status in pod["status"]["containerStatuses"])
    assert restarts == 0, f"{restarts} restarts of the service"
    _nothing_failed(load.seen)
    _nothing_failed(after.seen)
    assert after.seen["hits"], "the cache is not used again"
    return (
        f"Redis was away for {away:.0f} s; {summary(load.seen)}; {after.seen['hits']:,} reads from the cache afterwards"
    )


def _replaced(run: Run, uid: str) -> bool:
    return any(is_ready(pod) and pod["metadata"]["uid"] != uid for pod in run.cluster.all("pods", _REDIS))


def uninstall(run: Run) -> str:
    """Remove the release. Only the objects that docs/kubernetes.md names stay, and its command removes them."""
    kinds = run.cluster.kinds()
    run.cluster.helm(
        "uninstall", RELEASE, "--wait", f"--timeout={_REACTION_TIMEOUT_S}s", within=_REACTION_TIMEOUT_S + 30
    )
    kept: list[Object] = []

    def nothing_else() -> bool:
        kept[:] = left(run.cluster.all(kinds), run.before)
        return not undocumented(kept, RELEASE)

    try:
        eventually("gone", nothing_else, within=90)
    except AssertionError:
        raise AssertionError(f"it leaves {', '.join(undocumented(kept, RELEASE))}") from None
    names = sorted(f"{each['kind']}/{each['metadata']['name']}" for each in kept)
    run.cluster.kubectl(
        "delete", "pvc,secret", "--selector", f"app.kubernetes.io/instance={RELEASE}", "--wait", within=120
    )
    rest = left(run.cluster.all(kinds), run.before)
    assert not rest, f"the documented command leaves {[each['metadata']['name'] for each in rest]}"
    return f"leaves {', '.join(names) or 'nothing'}, as documented; nothing after the documented command"


def _nothing_failed(seen: dict[str, object]) -> None:
    assert seen["requests"], "there was no load"
    assert not seen["failed"], summary(seen)
    assert not seen["stale_count"], f"{summary(seen)}; {seen['stale']}"


STEPS: list[tuple[str, Callable[[Run], str]]] = [
    ("install", install),
    ("helm test", helm_test),
    ("scale by HPA under Locust", scale),
    ("rolling upgrade under load", upgrade),
    ("kill a pod", kill_pod),
    ("drain a node", drain_node),
    ("kill Redis", kill_redis),
    ("uninstall", uninstall),
]
