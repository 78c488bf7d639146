"""What the tests of the chart share."""

import functools
from collections.abc import Iterator

import pytest
from kubernetes_validate import utils as schemas  # type: ignore[import-untyped]


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """Keep Kubernetes' schemas, which are large and read anew for every object otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "schema_contents", functools.cache(schemas.schema_contents))
        yield
