"""The time by which the majority is behind, from consecutive replies."""

from mylist.mongodb.hello import Hello, OpTime
from mylist.mongodb.majority_lag import MajorityLag


def after(*replies: tuple[float, int, int | None], term: int = 1) -> float | None:
    """The lag after replies: when each came, in seconds, the number of the last write, and of the majority's last."""
    lag = MajorityLag()
    for now, last, majority in replies:
        lag.observe(Hello("replica set", last=(term, last, 1), majority=(term, majority, 1) if majority else None), now)
    return lag.seconds


def test_is_none_while_the_majority_keeps_up() -> None:
    assert after((0, 5, 5), (1, 9, 9)) == 0


def test_is_none_in_the_moment_in_which_a_write_is_replicated() -> None:
    """However long the set was idle before."""
    assert after((0, 5, 5), (1000, 1000, 5)) == 0


def test_grows_while_one_write_waits() -> None:
    assert after((0, 5, 5), (10, 6, 5), (11, 6, 5), (40, 6, 5)) == 30


def test_is_that_of_the_oldest_write_that_waits() -> None:
    assert after((0, 5, 5), (10, 6, 5), (20, 7, 5), (30, 8, 6)) == 10
    assert after((0, 5, 5), (10, 6, 5), (20, 7, 5), (30, 8, 7)) == 0


def test_ends_when_the_majority_has_all() -> None:
    assert after((0, 6, 5), (10, 6, 6)) == 0


def test_grows_where_no_majority_is_told() -> None:
    assert after((0, 6, None), (10, 7, None)) == 10


def test_ends_with_a_primary_that_rolled_back_what_waited() -> None:
    lag = MajorityLag()
    waiting: OpTime = (1, 100, 1)
    lag.observe(Hello("replica set", last=waiting, majority=(1, 5, 1)), 0)
    lag.observe(Hello("replica set", last=(2, 90, 2), majority=(2, 90, 1)), 10)

    assert lag.seconds == 0


def test_is_not_known_without_a_replica_set() -> None:
    lag = MajorityLag()
    assert lag.seconds is None
    lag.observe(Hello("sharded"), 0)
    assert lag.seconds is None
