"""The load test of k8s/loadtest, shorter and in another namespace."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import Cluster, Object, run

KUSTOMIZATION = Path(__file__).parents[2] / "k8s" / "loadtest"
MASTER = "mylist-loadtest-master"
_IMAGE = "mylist-loadtest"


def objects(settings: Mapping[str, str], image: str, namespace: str) -> list[Object]:
    """Return the objects of the load test, adjusted to the run."""
    made = yaml.safe_load_all(run("kubectl", "kustomize", str(KUSTOMIZATION)))
    return adjusted(list(made), settings, image, namespace)


def adjusted(made: list[Object], settings: Mapping[str, str], image: str, namespace: str) -> list[Object]:
    """Put objects into the namespace, with these settings instead of their own and this image."""
    for each in made:
        each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects", []):
            subject["namespace"] = namespace
        if each["kind"] == "ConfigMap":
            unknown = settings.keys() - each["data"].keys()
            assert not unknown, f"k8s/loadtest does not know {sorted(unknown)}"
            each["data"] |= settings
        if each["kind"] == "Job":
            for container in each["spec"]["template"]["spec"]["containers"]:
                container["image"] = image
    return made


def has_ended(cluster: Cluster) -> bool:
    """Return whether the master has given its verdict."""
    status = cluster.get("job", MASTER)["status"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return "True" in {conditions.get("Complete"), conditions.get("Failed")}


def read_verdict(log: str) -> dict[str, Any]:
    """Return the verdict, which is the last line of the master's log."""
    found: dict[str, Any] = json.loads(log.strip().splitlines()[-1])
    return found


def failed(verdict: Mapping[str, Any]) -> int:
    """Count the requests that failed."""
    return sum(route["failures"] for route in verdict["routes"].values())


def lost(verdict: Mapping[str, Any]) -> int:
    """Count the requests that failed without a 503. With a 503 a service that has too few pods refuses a request."""
    refused: int = sum(count for what, count in verdict["failures"].items() if ": 503 " in what)
    return failed(verdict) - refused


def summary(verdict: Mapping[str, Any]) -> str:
    """Sum a verdict up."""
    requests = sum(route["requests"] for route in verdict["routes"].values())
    missed = f"{len(verdict['missed'])} of {len(verdict['thresholds'])} thresholds missed"
    return f"Locust: {requests:,} requests, {failed(verdict)} failed, {lost(verdict)} not by a 503, {missed}"
