"""The share of the users that is active at each moment of a run."""

import pytest

from loadtests.load_profiles import ramp, spike, steady
from loadtests.scenarios import SCENARIOS, Scenario

MOMENTS = [step / 100 for step in range(100)]


def test_a_steady_load_has_all_users_all_the_time() -> None:
    assert {steady(moment) for moment in MOMENTS} == {1.0}


@pytest.mark.parametrize(("moment", "share"), [(0, 0.2), (0.39, 0.2), (0.4, 1.0), (0.59, 1.0), (0.6, 0.2), (0.99, 0.2)])
def test_a_spike_is_in_the_middle_and_five_times_as_high(moment: float, share: float) -> None:
    assert spike(moment) == share


def test_a_ramp_goes_up_in_ten_equal_steps() -> None:
    shares = [ramp(moment) for moment in MOMENTS]

    assert shares == sorted(shares)
    assert sorted(set(shares)) == [step / 10 for step in range(1, 11)]
    assert all(shares.count(share) == 10 for share in shares)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_scenario_reaches_its_number_of_users_and_never_exceeds_it(scenario: Scenario) -> None:
    assert max(scenario.profile(moment) for moment in MOMENTS) == 1.0
