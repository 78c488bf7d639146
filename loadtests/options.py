"""The options of the load test, beside Locust's own. The workers get them from their master."""

import argparse

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtests.scenarios import SCENARIOS


def add_options(parser: LocustArgumentParser) -> None:
    """Add them; each may be set by an environment variable, too."""
    parser.add_argument(
        "--scenario",
        choices=list(SCENARIOS),
        default="cached-latency",
        env_var="LOADTEST_SCENARIO",
        help="What to run. It sets --users and --run-time, unless you give them.",
    )
    parser.add_argument(
        "--people",
        type=int,
        default=10_000,
        env_var="LOADTEST_PEOPLE",
        help="Number of users in the service's MongoDB.",
    )
    parser.add_argument(
        "--titles",
        type=int,
        default=5000,
        env_var="LOADTEST_TITLES",
        help="Number of movies and shows in the service's MongoDB.",
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=5.0,
        env_var="LOADTEST_WARM_UP",
        help="Seconds of load before the measurement.",
    )
    parser.add_argument(
        "--metrics",
        action="append",
        default=[],
        env_var="LOADTEST_METRICS",
        metavar="URL",
        help="URL of the metrics of one replica; repeat the option for each replica (default HOST/metrics). "
        "dns+URL means every address of the host name in that URL.",
    )
    parser.add_argument(
        "--without-metrics",
        action="store_true",
        env_var="LOADTEST_WITHOUT_METRICS",
        help="Do not compare the results with the metrics of the service.",
    )
    parser.add_argument(
        "--leeway",
        type=float,
        default=1.0,
        env_var="LOADTEST_LEEWAY",
        metavar="FACTOR",
        help="Multiply the allowed latencies by this factor, for example on a machine with other load.",
    )
    parser.add_argument(
        "--autoscaler",
        default="",
        env_var="LOADTEST_AUTOSCALER",
        metavar="NAME",
        help="HorizontalPodAutoscaler whose replicas the verdict reports. This works only in a pod of its cluster.",
    )
    parser.add_argument(
        "--reconnect",
        type=float,
        default=0.0,
        env_var="LOADTEST_RECONNECT",
        metavar="S",
        help="Seconds until a user opens a new connection, so that new replicas get load too; 0 for never.",
    )
    parser.add_argument(
        "--figures",
        default="",
        env_var="LOADTEST_FIGURES",
        metavar="FILE",
        help="Where to write the verdict as JSON; - prints it, in one line.",
    )


def options_of(environment: Environment) -> argparse.Namespace:
    """Return all options of a run."""
    options = environment.parsed_options
    assert isinstance(options, argparse.Namespace)  # noqa: S101 - Locust has them whenever it runs as a program
    return options
