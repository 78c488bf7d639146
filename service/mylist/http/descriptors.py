"""Logs when the process runs out of file descriptors: the system then resets new connections silently."""

import logging
import resource
from asyncio import BaseTransport

from mylist.telemetry.line_limit import LineLimit

_logger = logging.getLogger(__name__)
_SPARE = 8
_lines = LineLimit(1, period_s=10)


def warn_if_scarce(transport: BaseTransport) -> None:
    """Log, at most once in ten seconds, that a connection got one of the last descriptors of the process.

    The system assigns the lowest free number, so a number shows how many descriptors are in use.
    """
    connection = transport.get_extra_info("socket")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = connection.fileno() + 1 if connection else 0
    if in_use > limit - _SPARE and _lines.allows():
        _logger.error(
            "%d of %d file descriptors are in use: new connections will be reset; raise `ulimit -n`, or add replicas",
            in_use,
            limit,
        )
