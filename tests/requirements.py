"""What a machine lacks that a test needs."""

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """Leave a test out where the machine cannot show what it asks; the machine that checks changes has to."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
