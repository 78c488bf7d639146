"""One namespace of the cluster that `KUBECONFIG` names, by way of kubectl and Helm."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import yaml

Object = dict[str, Any]
_T = TypeVar("_T")

_POLL_INTERVAL_S = 1.0
"""Seconds between two polls; each takes a process and a request."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class CommandError(Exception):
    """kubectl or Helm refuses; the message is the command and what it said."""


class Cluster:
    """A namespace, and the commands that run in it."""

    def __init__(self, namespace: str, helm: str) -> None:
        self.namespace = namespace
        self._helm = helm

    def kubectl(self, *arguments: str, stdin: str = "", within: float = 60) -> str:
        """Run kubectl in the namespace and return what it writes.

        Raises:
            CommandError: it fails, or does not end in time.
        """
        return run("kubectl", "--namespace", self.namespace, *arguments, stdin=stdin, within=within)

    def helm(self, *arguments: str, within: float = 60) -> str:
        """Run Helm in the namespace and return what it writes.

        Raises:
            CommandError: it fails, or does not end in time.
        """
        return run(self._helm, "--namespace", self.namespace, *arguments, within=within)

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        found: Object = json.loads(self.kubectl("get", kind, name, "--output", "json"))
        return found

    def all(self, kinds: str, selector: Mapping[str, str] | None = None) -> list[Object]:
        """Return the objects of these kinds (joined by commas) that have these labels."""
        labels = ",".join(f"{name}={value}" for name, value in (selector or {}).items())
        listed = self.kubectl("get", kinds, "--output", "json", "--selector", labels)
        items: list[Object] = json.loads(listed)["items"]
        return items

    def apply(self, objects: Iterable[Object]) -> None:
        """Create these objects in the run's namespace, even if they name another."""
        here = [each | {"metadata": each["metadata"] | {"namespace": self.namespace}} for each in objects]
        self.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(here))

    def make(self) -> None:
        """Create the namespace; its pods must satisfy the Pod Security Standard `restricted`."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        run("kubectl", "create", "--filename", "-", stdin=yaml.safe_dump(namespace))

    def remove(self) -> None:
        """Remove the namespace with all that is in it."""
        run("kubectl", "delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=5m", within=330)

    def kinds(self) -> str:
        """Return every kind of object that a namespace can hold, joined by commas, without short-lived ones."""
        listed = run("kubectl", "api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        return ",".join(kind for kind in listed if not kind.startswith("events") and "metrics.k8s.io" not in kind)


def run(*command: str, stdin: str = "", within: float = 60) -> str:
    """Run a command and return what it writes.

    Raises:
        CommandError: it fails, or does not end in time.
    """
    shown = " ".join([os.path.basename(command[0]), *command[1:]])  # noqa: PTH119 - a command, not a file
    try:
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=within)
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{shown}: not within {within:g} seconds") from None
    if ended.returncode:
        raise CommandError(f"{shown}: {(ended.stderr or ended.stdout).strip()}")
    return ended.stdout


def eventually(what: str, condition: Callable[[], _T | None], *, within: float) -> _T:
    """Poll until the condition returns a true value, and return it.

    Raises:
        AssertionError: the condition `what` does not hold after that many seconds.
    """
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not {what} within {within:g} seconds"
        time.sleep(_POLL_INTERVAL_S)
    return answer


def is_ready(pod: Object) -> bool:
    """Return whether a pod gets requests and is not being deleted."""
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
