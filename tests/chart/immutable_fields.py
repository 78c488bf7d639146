"""The fields of an object that an upgrade must not change: Kubernetes refuses it, or their data is lost.

As a program, `python -m tests.chart.immutable_fields NAME...` writes these fields of this chart as JSON, with the
values of these cases of charts/mylist/ci. tests/chart/released has such a file for each released chart; at a release,
add one.
"""

import hashlib
import json
import sys

from tests.chart.rendering import CHART, Object, case, rendered_case, values

_MUTABLE_OF_STATEFUL_SETS = {
    *("minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy", "replicas", "revisionHistoryLimit"),
    *("template", "updateStrategy"),
}
_MUTABLE_OF_JOBS = {
    *("activeDeadlineSeconds", "backoffLimit", "parallelism", "podFailurePolicy", "suspend"),
    "ttlSecondsAfterFinished",
}


def immutable_fields(each: Object) -> Object:
    """Return these fields; for a Secret, its type and keys, because users of the release rely on them."""
    spec = each.get("spec", {})
    match each["kind"]:
        case "StatefulSet":
            return {name: value for name, value in spec.items() if name not in _MUTABLE_OF_STATEFUL_SETS}
        case "Deployment":
            return {"selector": spec["selector"]}
        case "Job":
            fixed = {name: value for name, value in spec.items() if name not in _MUTABLE_OF_JOBS}
            return {"sha256": hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()}
        case "Service":
            return {name: spec[name] for name in ("clusterIP", "ipFamilies") if name in spec}
        case "Secret":
            return {"type": each.get("type", "Opaque"), "keys": sorted(each.get("data", {}))}
        case _:
            return {}


def is_hook(each: Object) -> bool:
    """Return whether Helm recreates an object at each upgrade."""
    return "helm.sh/hook" in each["metadata"].get("annotations", {})


def record(name: str) -> Object:
    """Return the values of a case, and the objects of its release."""
    return {
        "values": values(case(name)) or {},
        "objects": [
            {
                "apiVersion": each["apiVersion"],
                "kind": each["kind"],
                "name": each["metadata"]["name"],
                "immutable": immutable_fields(each),
                **({"replicas": each["spec"]["replicas"]} if "replicas" in each.get("spec", {}) else {}),
            }
            for each in rendered_case(name).objects
            if not is_hook(each)
        ],
    }


if __name__ == "__main__":
    version = values(CHART / "Chart.yaml")["version"]
    cases = {name: record(name) for name in sys.argv[1:]}
    sys.stdout.write(json.dumps({"version": version, "cases": cases}, indent=1) + "\n")
