"""The objects that an uninstalled release leaves behind, and those that docs/kubernetes.md announces."""

from collections.abc import Iterable

from tests.e2e.cluster import Object

_KEPT = {"PersistentVolumeClaim", "Secret"}
"""The volume of MongoDB and the passwords, which would be hard to restore."""


def identity(each: Object) -> tuple[str, str]:
    """Return kind and name."""
    return each["kind"], each["metadata"]["name"]


def left(after: Iterable[Object], before: Iterable[Object]) -> list[Object]:
    """Return the objects that did not exist before the release."""
    known = {identity(each) for each in before}
    return [each for each in after if identity(each) not in known]


def undocumented(objects: Iterable[Object], release: str) -> list[str]:
    """Name the leftovers that are not announced: all except those that the documented command removes."""
    return ["/".join(identity(each)) for each in objects if not _is_documented(each, release)]


def _is_documented(each: Object, release: str) -> bool:
    labels = each["metadata"].get("labels", {})
    return each["kind"] in _KEPT and labels.get("app.kubernetes.io/instance") == release
