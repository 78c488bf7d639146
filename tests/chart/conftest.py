"""Fixtures of the chart's tests."""

import functools
from collections.abc import Iterator

import pytest
from kubernetes_validate import utils as schemas  # type: ignore[import-untyped]


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """Cache Kubernetes' schemas, which are large and otherwise read for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "schema_contents", functools.cache(schemas.schema_contents))
        yield
