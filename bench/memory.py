"""The memory that a user's list takes in Redis."""

from dataclasses import dataclass

from bench.environment import ITEMS, USERS, Environment, Server
from bench.redis_fill import memory_of, memory_of_all
from bench.samples import Sample, percentile
from mylist.seeding.synthetic_data import user_id

OF_A_LIST = f"a list of {ITEMS}, by MEMORY USAGE"
OF_ALL = "all memory of Valkey, divided by the number of lists"


@dataclass(frozen=True, slots=True)
class Memory:
    """Looks at the lists that a service has cached, and at all of its Redis."""

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The rows; none is compared with another."""
        return {OF_A_LIST: None, OF_ALL: None}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        environment.url(self.server)
        redis = environment.redis(self.server.redis)
        sizes = memory_of(redis, map(user_id, range(1, USERS + 1)))
        return {OF_A_LIST: Sample(memory=percentile(sizes, 50)), OF_ALL: Sample(memory=memory_of_all(redis))}
