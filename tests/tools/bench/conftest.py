"""What some of these tests need."""

import shutil

import pytest

from tests.requirements import skip_or_fail


@pytest.fixture(scope="session")
def generator() -> None:
    """The generator of the load."""
    if shutil.which("wrk") is None:
        skip_or_fail("wrk is not installed")
