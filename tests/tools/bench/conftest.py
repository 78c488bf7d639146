"""What some of these tests need."""

import shutil

import pytest

from tests.requirements import cannot


@pytest.fixture(scope="session")
def generator() -> None:
    """The generator of the load."""
    if shutil.which("wrk") is None:
        cannot("wrk is not installed")
