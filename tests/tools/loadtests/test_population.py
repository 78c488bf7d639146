"""The users that send requests, and the titles that they choose."""

import random
from collections import Counter
from math import log

import pytest

from loadtests.population import Population, Zipf
from mylist.seeding.synthetic_data import title_id, title_type

DRAWS = 100_000


def drawn(zipf: Zipf) -> Counter[int]:
    return Counter(zipf.draw() for _ in range(DRAWS))


@pytest.mark.parametrize("shift", [0, 50])
def test_a_number_is_drawn_about_as_often_as_its_rank_requires(shift: float) -> None:
    count = 5000
    often = drawn(Zipf(count, shift, uniform=random.Random(1).random))

    whole = log((count + shift + 1) / (shift + 1))
    for ranks in (range(1, 2), range(2, 11), range(11, 101), range(101, 1001), range(1001, 5001)):
        expected = log((ranks.stop + shift) / (ranks.start + shift)) / whole
        assert sum(often[rank] for rank in ranks) / DRAWS == pytest.approx(expected, abs=0.005)


def test_drawn_numbers_stay_in_the_range() -> None:
    ends = iter((0.0, 0.999999, 1.0))
    zipf = Zipf(3, uniform=lambda: next(ends))

    assert [zipf.draw() for _ in range(3)] == [1, 3, 3]


def test_active_users_come_more_often_but_none_of_them_dominates() -> None:
    population = Population(people=1000, titles=10)
    visits = Counter(population.person() for _ in range(DRAWS))

    assert visits["user-00000001"] / DRAWS < 0.04
    assert visits["user-00000001"] > 3 * visits["user-00000100"]
    assert len(visits) > 990


def test_a_user_does_not_choose_a_title_that_is_on_the_list() -> None:
    population = Population(people=1, titles=3)
    wanted = {population.title(without={title_id(1), title_id(3)}) for _ in range(50)}

    assert {(title.content_id, title.content_type) for title in wanted} == {(title_id(2), title_type(2))}


def test_a_user_whose_list_lacks_only_the_rarest_title_chooses_it() -> None:
    others = {title_id(number) for number in range(1, 5000)}

    assert Population(people=1, titles=5000).title(without=others).content_id == title_id(5000)


def test_a_user_whose_list_has_every_title_still_chooses_one() -> None:
    assert Population(people=1, titles=1).title(without={title_id(1)}).content_id == title_id(1)
