"""The Redis of the operating system's distribution: older than the run's own, and built with TLS."""

import shutil
from pathlib import Path

from devtools.ports import free_port
from devtools.redis_groups import Member
from tests.requirements import skip_or_fail

_BINARY = "redis-server"


class DistributionRedis(Member):
    """A `redis-server` of the distribution; if it is not installed, the test is skipped or fails."""

    name = _BINARY

    def __init__(self, folder: Path, *options: str) -> None:
        if shutil.which(_BINARY) is None:
            skip_or_fail(f"{_BINARY} is not installed; the distribution's package redis-server has it")
        super().__init__(folder, *options)

    def command(self) -> list[str]:
        return [_BINARY, *super().command()[1:]]


class DistributionTlsRedis(DistributionRedis):
    """A `redis-server` that also listens for TLS, and asks its clients for a certificate."""

    tls_port = 0

    def command(self) -> list[str]:
        self.tls_port = free_port()
        return [*super().command(), "--tls-port", str(self.tls_port)]
