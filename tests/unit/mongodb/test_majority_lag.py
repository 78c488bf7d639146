"""How many seconds the majority lags behind the primary, from consecutive replies to `hello`."""

from mylist.mongodb.hello import Hello, OpTime
from mylist.mongodb.majority_lag import MajorityLag


def after(*replies: tuple[float, int, int | None], term: int = 1) -> float | None:
    """Return the lag after replies, each given as its time, the last write, and the majority's last write."""
    lag = MajorityLag()
    for now, last, majority in replies:
        lag.observe(Hello("replica set", last=(term, last, 1), majority=(term, majority, 1) if majority else None), now)
    return lag.seconds


def test_the_lag_is_zero_while_the_majority_keeps_up() -> None:
    assert after((0, 5, 5), (1, 9, 9)) == 0


def test_the_lag_is_zero_when_a_write_begins_to_wait() -> None:
    """No matter how long the replica set was idle before."""
    assert after((0, 5, 5), (1000, 1000, 5)) == 0


def test_the_lag_grows_while_a_write_waits() -> None:
    assert after((0, 5, 5), (10, 6, 5), (11, 6, 5), (40, 6, 5)) == 30


def test_the_lag_is_that_of_the_oldest_waiting_write() -> None:
    assert after((0, 5, 5), (10, 6, 5), (20, 7, 5), (30, 8, 6)) == 10
    assert after((0, 5, 5), (10, 6, 5), (20, 7, 5), (30, 8, 7)) == 0


def test_the_lag_ends_when_the_majority_has_all_writes() -> None:
    assert after((0, 6, 5), (10, 6, 6)) == 0


def test_the_lag_grows_while_no_majority_is_reported() -> None:
    assert after((0, 6, None), (10, 7, None)) == 10


def test_the_lag_ends_when_an_election_rolls_back_the_waiting_write() -> None:
    lag = MajorityLag()
    waiting: OpTime = (1, 100, 1)
    lag.observe(Hello("replica set", last=waiting, majority=(1, 5, 1)), 0)
    lag.observe(Hello("replica set", last=(2, 90, 2), majority=(2, 90, 1)), 10)

    assert lag.seconds == 0


def test_the_lag_is_unknown_without_a_replica_set() -> None:
    lag = MajorityLag()
    assert lag.seconds is None
    lag.observe(Hello("sharded"), 0)
    assert lag.seconds is None
