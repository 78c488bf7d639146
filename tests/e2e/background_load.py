"""The load generator in the cluster, during a step."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mylist.seeding.synthetic_data import title_id, title_type
from tests.e2e.cluster import Cluster, CommandError, Object, eventually

USERS = 8
_MIN_DURATION_S = 15.0
"""The minimum duration of the load, in seconds. A step may still have effects after its kubectl command has ended."""
_SCRIPT = Path(__file__).with_name("load_generator.py")
_TITLES = [title_id(number) for number in range(1, 60) if title_type(number) == "movie"][:30]
_STARTS = "the load runs"


class BackgroundLoad:
    """A running load; after its end, `seen` is its report."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        self._cluster = cluster
        self.pod = pod
        self._began = time.monotonic()
        self.seen: dict[str, Any] = {}

    @property
    def node(self) -> str:
        """The node that it runs on."""
        name: str = self._cluster.get("pod", self.pod)["spec"]["nodeName"]
        return name

    def end(self) -> None:
        """End the load and read its report."""
        time.sleep(max(0.0, self._began + _MIN_DURATION_S - time.monotonic()))
        stop = "import os, signal; os.kill(1, signal.SIGTERM)"
        self._cluster.kubectl("exec", self.pod, "--", "python", "-c", stop)
        self._cluster.kubectl(
            *("wait", f"pod/{self.pod}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"), within=90
        )
        self.seen = json.loads(self._cluster.kubectl("logs", self.pod).splitlines()[-1])


@contextmanager
def background_load(cluster: Cluster, name: str, image: str) -> Iterator[BackgroundLoad]:
    """Run the load during the block; its report exists afterwards."""
    pod = f"load-{name}"
    cluster.apply(_objects(pod, image))
    try:
        eventually(f"a load in pod {pod}", lambda: _runs(cluster, pod), within=120)
        running = BackgroundLoad(cluster, pod)
        yield running
        running.end()
    finally:
        cluster.kubectl("delete", f"pod/{pod}", f"configmap/{pod}", "--now", "--wait", within=90)


def _runs(cluster: Cluster, pod: str) -> bool:
    try:
        log = cluster.kubectl("logs", pod)
    except CommandError:  # the pod has not started
        return False
    if _STARTS in log:
        return True
    phase = cluster.get("pod", pod)["status"]["phase"]
    assert phase != "Failed", (log.splitlines() or [f"pod {pod} ended without a word"])[-1]
    return False


def summary(seen: dict[str, Any]) -> str:
    """Sum a report up."""
    reasons = Counter(reason for _, reason in seen["failed"])
    failed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none"
    return (
        f"{seen['requests']:,} requests in {seen['seconds']:.0f} s, failed: {failed}, stale: {seen['stale_count']}, "
        f"p99 {seen['p99'] * 1000:.0f} ms, longest {seen['longest']:.2f} s, "
        f"changes refused for {seen['longest_refusal']:.1f} s at most"
    )


def failures_last(seen: dict[str, Any]) -> float:
    """Return the seconds from the first failed request to the last."""
    times = [time for time, _ in seen["failed"]]
    return max(times) - min(times) if times else 0.0


def _objects(pod: str, image: str) -> list[Object]:
    variables = {"HOST": "mylist", "PORT": "80", "RUN": pod, "USERS": str(USERS), "TITLES": json.dumps(_TITLES)}
    # If possible, on the node of the stores: the service needs the other nodes, and a step drains one of them.
    near = {
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {
                "matchExpressions": [
                    {"key": "app.kubernetes.io/component", "operator": "In", "values": ["mongodb", "redis"]}
                ]
            },
        },
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": pod},
            "data": {_SCRIPT.name: _SCRIPT.read_text()},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "labels": {"app.kubernetes.io/name": "load"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [near]}},
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "runAsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "load",
                        "image": image,
                        "command": ["python", f"/load/{_SCRIPT.name}"],
                        "env": [{"name": name, "value": value} for name, value in variables.items()],
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [{"name": "load", "mountPath": "/load", "readOnly": True}],
                    }
                ],
                "volumes": [{"name": "load", "configMap": {"name": pod}}],
            },
        },
    ]
