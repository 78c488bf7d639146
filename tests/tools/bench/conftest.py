"""Fixtures of the benchmark's tests."""

import shutil
from collections.abc import Iterator

import pytest

from bench.environment import Stores, stores
from tests.requirements import skip_or_fail


@pytest.fixture(scope="session")
def generator() -> None:
    """The generator of the load."""
    if shutil.which("wrk") is None:
        skip_or_fail("wrk is not installed")


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """The stores with the load-test data set."""
    with stores(tmp_path_factory.mktemp("bench")) as opened:
        yield opened
