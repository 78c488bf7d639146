"""How the delays of the cache protocol relate to each other and to REDIS_TIMEOUT."""

import pytest

from mylist.config import redis_timing
from mylist.config.redis_timing import ContradictoryDelaysError, check_delays, max_redis_timeout, supports
from mylist.config.redis_url import RedisKind
from mylist.config.settings import Settings


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(RedisKind.SERVER, 0.4), (RedisKind.SOCKET, 0.4), (RedisKind.SENTINEL, 0.2), (RedisKind.CLUSTER, 0.22)],
)
def test_each_kind_of_redis_supports_timeouts_up_to_its_maximum(kind: RedisKind, seconds: float) -> None:
    assert max_redis_timeout(kind) == seconds
    assert supports(kind, 0.01)
    assert supports(kind, seconds)
    assert not supports(kind, seconds + 0.01)


@pytest.mark.parametrize("kind", RedisKind)
def test_every_kind_of_redis_supports_the_default_timeout(kind: RedisKind) -> None:
    assert Settings.load({}).redis_timeout == redis_timing.DEFAULT_REDIS_TIMEOUT_S <= max_redis_timeout(kind)


@pytest.mark.parametrize(
    ("delays", "claim"),
    [
        ({"DOWN_AFTER_S": 0.45}, "before a write is sent without a fence"),
        ({"DOWN_AFTER_S": 0.6}, "vote had just ended"),
        ({"HANDOVER_S": 0.45}, "before a write continues"),
        ({"GRACE_S": 1.0}, "before the new one is trusted"),
        ({"HANDOVER_S": 2.5}, "no handover may be in flight"),
        ({"EXPIRY_MARGIN_S": 0.6}, "must outlast the wait for the handover"),
        ({"HEARTBEAT_INTERVAL_S": 0.26}, "slow answer"),
        ({"HEARTBEAT_INTERVAL_S": 0.2}, "slow vote"),
        ({"DEFAULT_REDIS_TIMEOUT_S": 0.21}, "SENTINEL must support the default"),
        ({"FENCE_PATIENCE_S": 1.9}, "SENTINEL must support the default"),
        ({"GRACE_S": 1.0, "PRIMARY_KNOWN_S": 0.5}, "SENTINEL: others must notice"),
    ],
)
def test_delays_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, delays: dict[str, float], claim: str
) -> None:
    check_delays()
    for delay, seconds in delays.items():
        monkeypatch.setattr(redis_timing, delay, seconds)

    with pytest.raises(ContradictoryDelaysError, match=claim):
        check_delays()
