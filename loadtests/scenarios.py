"""The scenarios: the number of users, the duration, the load profile. Module `users` has the users' actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loadtests.load_profiles import LoadProfile, ramp, spike, steady


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario.

    Attributes:
        name: the name that selects it.
        users: the maximum of Locust's concurrent users, each with a connection of its own.
        seconds: the length of the measured window by default.
        profile: the share of the users at each moment.
        purpose: the property that it tests.
    """

    name: str
    users: int
    seconds: int
    profile: LoadProfile
    purpose: str


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            Scenario("cached-latency", 450, 60, steady, "open the app and read page 1: the documented promise"),
            Scenario("browse", 60, 60, steady, "page through the list, and count it"),
            Scenario("mixed", 60, 60, steady, "typical requests: 95 % reads, 5 % writes"),
            Scenario("spike", 250, 60, spike, "five times as many users as before open the app at the same time"),
            Scenario("ramp", 100, 100, ramp, "typical requests of a growing number of users"),
            Scenario("soak", 60, 1800, steady, "typical requests for a long time"),
        )
    }
)
