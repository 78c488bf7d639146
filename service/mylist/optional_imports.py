"""Keeps libraries from importing packages that this service does not need.

A library may import an optional package only because it is installed, for features that the service does not use.
Together these packages took about 17 % of the CPU time of a start and about 20 % of a process' memory.

    cryptography                    redis-py, to check OCSP responses; PyJWT imports it with `AUTH_MODE=jwt` alone
    opentelemetry.metrics and .sdk  redis-py, for metrics of its own
    trustme                         Sanic, to make certificates for development
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = ("cryptography", "opentelemetry.metrics", "opentelemetry.sdk.metrics", "trustme")


@contextmanager
def without_unused() -> Iterator[None]:
    """Surround the first import of the libraries. Within it, the packages that are not needed seem not to be installed.

    After it, everything can be imported again.
    """
    absent = [name for name in _UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes an import of it fail
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
