"""The counts of the freshness checker while it runs."""

import time

from tests.faults.freshness.tally import ANY, ANY_CHANGE, ANY_READ, Tally


def test_the_longest_gap_between_changes_counts_changes_of_every_kind() -> None:
    tally = Tally()
    tally.start()
    began = time.monotonic()
    for second in range(1, 10):
        tally.served("items", began + second, "hit")
        if second in {3, 4, 8}:
            tally.served("add", began + second, "")
    tally.served("clear", began + 9, "")

    gaps = {kind: round(tally.longest_gap(kind)) for kind in (ANY, ANY_READ, ANY_CHANGE, "add", "clear")}
    assert gaps == {ANY: 1, ANY_READ: 1, ANY_CHANGE: 4, "add": 4, "clear": 9}
    assert round(tally.longest_gap(ANY_CHANGE, began, began + 2)) == 3
