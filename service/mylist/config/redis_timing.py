"""The fixed delays of the cache protocol, and the REDIS_TIMEOUT that they allow.

`mylist.cache.health` explains what the delays are for. They are defined here, below the cache, so that the settings can
reject a REDIS_TIMEOUT that contradicts them. Importing this module checks the order of the delays.
"""

from mylist.config.redis_url import RedisKind
from mylist.domain.process_registry import REGISTRY_KNOWN_S

HEARTBEAT_INTERVAL_S = 0.1
"""Pause between the end of one heartbeat and the start of the next."""
DOUBT_AFTER_S = 0.45
"""A process trusts the cache for this long after it sent the last heartbeat that was answered."""
HANDOVER_S = 0.6
"""A write that was fenced at a new primary waits until this long after the new primary was found.

A write that was made in a new reign of MongoDB ends this long after the reign was announced.
"""
PRIMARY_KNOWN_S = 1.0
"""A process ends writes at a primary for this long after it sent the last heartbeat that was answered."""
DOWN_AFTER_S = 0.7
"""A process writes without a fence after heartbeats have failed for this long."""
MIN_FAILURES = 3
"""Heartbeats that must fail in a row before Redis counts as down, however long they took."""
GRACE_S = 2.0
"""A process that had lost Redis trusts it again this long after Redis is back."""
FENCE_PATIENCE_S = 2.0
"""A write tries for this long to place or lift its fence while Redis does not count as down."""
DECLARATION_WAIT_S = 2.6
"""This long after a process declared that it fences elsewhere or not at all, no other process can trust the cache.

Usually all others heed the declaration within half a second; a process that was just killed does not.
"""
EXPIRY_MARGIN_S = 3.0
"""Leases and fences expire this long after the deadline of the operation that they cover."""
SENTINEL_VOTE_TIMEOUT_S = 0.25
"""Time within which a majority of the Sentinels must name the primary, before each heartbeat."""
DEFAULT_REDIS_TIMEOUT_S = 0.2

_SCHEDULING_DELAY_S = 0.1
"""The delay that a busy process may add between the freeze of a primary and the refusal of a write."""
_TOLERANCE_S = 1e-9
"""Covers the rounding of sums of floats."""


class ContradictoryDelaysError(Exception):
    """The delays violate an order that the protocol needs."""


def max_redis_timeout(kind: RedisKind) -> float:
    """Return the largest REDIS_TIMEOUT, in seconds, that the health watcher supports: a multiple of 10 ms.

    0.4 s for one server, 0.2 s for Sentinel and 0.22 s for Cluster. There are two upper bounds, see `supports`.
    """
    hundredths = range(1, round(100 * DOUBT_AFTER_S) + 1)
    return max((each / 100 for each in hundredths if supports(kind, each / 100)), default=0.0)


def supports(kind: RedisKind, redis_timeout: float) -> bool:
    """Return whether the health watcher works as designed with this REDIS_TIMEOUT, in seconds.

    Both conditions are about the longest heartbeat H, in which every answer takes the whole REDIS_TIMEOUT T. One server
    gets one ping: H = T. Sentinels vote before: H = SENTINEL_VOTE_TIMEOUT + T. In a Cluster, one round of CLUSTER SLOTS
    comes on top, after a ping that failed or before one while slots have no primary: H = 2 T.

    1. An answered heartbeat counts: H <= DOUBT_AFTER. Otherwise a slow Redis that answers within T is treated as down.
       This gives T <= 0.45 for one server, 0.2 for Sentinel, 0.225 for Cluster.
    2. A write outlasts the wait for a frozen primary to count as down. The first heartbeat that fails is sent up to
       HEARTBEAT_INTERVAL after the freeze, and MIN_FAILURES must fail: 3 (HEARTBEAT_INTERVAL + H). An attempt to place
       the fence that began before may take T more. The sum must fit into FENCE_PATIENCE, less 0.1 s for a busy
       process. Otherwise the write is refused with CACHE_UNAVAILABLE, although CACHE_STRICT is off. This gives
       T <= 0.4 for one server, 0.2125 for Sentinel, 0.228 for Cluster (with 0.4, Redis would be down after 2.7 s).

    Freshness does not depend on these conditions. If one is false, a process does without the cache, or refuses writes,
    more often than it must. H excludes the wait for a new connection that does not answer, and the wait for a full
    pool.
    """
    heartbeat = _longest_heartbeat(kind, redis_timeout)
    last_attempt_ends = _down_after(heartbeat) + redis_timeout + _SCHEDULING_DELAY_S
    return heartbeat <= DOUBT_AFTER_S + _TOLERANCE_S and last_attempt_ends <= FENCE_PATIENCE_S + _TOLERANCE_S


def check_delays() -> None:
    """Check the order of the delays that the protocol needs.

    Raises:
        ContradictoryDelaysError: a condition is false.
    """
    _require(DOUBT_AFTER_S < DOWN_AFTER_S, "others must stop trusting the cache before a write is sent without a fence")
    _require(
        DOUBT_AFTER_S + SENTINEL_VOTE_TIMEOUT_S <= DOWN_AFTER_S + _TOLERANCE_S,
        "others must stop trusting the cache in time, even if a heartbeat's vote had just ended when Redis failed",
    )
    # Of Redis, and of MongoDB (`mylist.domain.reign`).
    _require(DOUBT_AFTER_S < HANDOVER_S, "others must stop reading from a replaced primary before a write continues")
    _require(
        REGISTRY_KNOWN_S + DOUBT_AFTER_S < DECLARATION_WAIT_S,
        "a process with an old reading of the registry must stop trusting the cache before another one sends a write "
        "without a fence",
    )
    _require(PRIMARY_KNOWN_S < GRACE_S, "writes must stop ending at a replaced primary before the new one is trusted")
    _require(HANDOVER_S < GRACE_S, "no handover may be in flight when a new primary is trusted")
    _require(HANDOVER_S < EXPIRY_MARGIN_S, "a fence must outlast the wait for the handover and the write it covers")
    _require(
        HEARTBEAT_INTERVAL_S + DEFAULT_REDIS_TIMEOUT_S <= DOUBT_AFTER_S, "one slow answer must not cost trust in Redis"
    )
    _require(
        HEARTBEAT_INTERVAL_S + SENTINEL_VOTE_TIMEOUT_S < DOUBT_AFTER_S, "one slow vote must not cost trust in Redis"
    )
    for kind in RedisKind:
        _require(supports(kind, DEFAULT_REDIS_TIMEOUT_S), f"{kind.name} must support the default REDIS_TIMEOUT")
        # One heartbeat that is failing when Redis returns, and the next one, which delivers.
        timeout = max_redis_timeout(kind)
        noticed_after = 2 * _longest_heartbeat(kind, timeout) + HEARTBEAT_INTERVAL_S
        if kind is RedisKind.CLUSTER:
            # A primary that was silent while others answered: no heartbeat waits for its first answer.
            noticed_after += 2 * (HEARTBEAT_INTERVAL_S + timeout)
        _require(noticed_after < GRACE_S, f"{kind.name}: others must notice within the grace that Redis is back")


def _longest_heartbeat(kind: RedisKind, redis_timeout: float) -> float:
    match kind:
        case RedisKind.SERVER | RedisKind.SOCKET:
            return redis_timeout
        case RedisKind.SENTINEL:
            return SENTINEL_VOTE_TIMEOUT_S + redis_timeout
        case RedisKind.CLUSTER:
            return 2 * redis_timeout


def _down_after(heartbeat: float) -> float:
    """Return the maximum seconds from a freeze until Redis counts as down, if heartbeats fail this slowly."""
    enough_failures = MIN_FAILURES * heartbeat + (MIN_FAILURES - 1) * HEARTBEAT_INTERVAL_S
    long_enough = DOWN_AFTER_S + HEARTBEAT_INTERVAL_S + heartbeat
    return HEARTBEAT_INTERVAL_S + max(enough_failures, long_enough)


def _require(holds: bool, claim: str) -> None:
    # No assert: it must hold under `python -O` too.
    if not holds:
        raise ContradictoryDelaysError(f"the delays of the cache protocol contradict each other: {claim}")


check_delays()
