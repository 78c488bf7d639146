"""Processes that the coverage of a run leaves out, because measuring would make them 50 % slower."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_CONFIGURATION = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage.py measures the processes that a measured one starts."""


@contextmanager
def unmeasured() -> Iterator[None]:
    """Leave out every process that this one starts within the context, and those that they start."""
    configuration = os.environ.pop(_CONFIGURATION, None)
    try:
        yield
    finally:
        if configuration is not None:
            os.environ[_CONFIGURATION] = configuration
