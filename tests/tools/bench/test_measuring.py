"""One round of each kind of measurement, on real servers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest
from redis import Redis

from bench import processor_shares, wrk
from bench.client import Client, UnexpectedAnswerError, request
from bench.driver_comparison import DriverComparison
from bench.environment import BASELINE, TITLES, Environment, Stores
from bench.first_read import CACHED_PAGE, LOADED_PAGE, FirstRead
from bench.flamegraph import record
from bench.groups import CAPACITY, ITEMS, ITEMS_AT_HALF, LIVEZ_AT_HALF, RENDERING, UNTRACED, USUAL
from bench.import_latency import LONG_IMPORT, SHORT_IMPORT, ImportLatency
from bench.loop_blocking import LoopBlocking
from bench.memory import OF_A_LIST, Memory
from bench.neighbours import ALONE, BESIDE_IMPORTS, BESIDE_SELECTIONS, Neighbours
from bench.open_loop import OpenLoop
from bench.py_spy import ProfileError
from bench.redis_fill import CachedLists, fill, key_of
from bench.samples import quantity
from bench.service_start import AT_ITS_START, EMPTY_SERVER, ServiceStart
from bench.throughput import Case, Throughput
from bench.write_latency import WriteLatency
from bench.wrk import Load
from mylist.seeding.synthetic_data import user_id


@pytest.fixture(scope="module")
def environment(opened: Stores) -> Iterator[Environment]:
    with ExitStack() as stack:
        yield Environment(opened, stack)


@pytest.mark.usefixtures("generator")
def test_throughput_measures_every_case(environment: Environment) -> None:
    lists = CachedLists("list-of-100-", 10, 100)
    loads = Throughput(
        (
            Case("empty route", BASELINE, "empty", of=None),
            Case("redis", BASELINE, "redis"),
            ITEMS,
            Case("unchanged", USUAL, "unchanged"),
            Case("stats", USUAL, "stats"),
            Case("items of 100", USUAL, "items100", lists=lists),
        )
    )

    samples = loads.measure(environment, 0)

    assert set(samples) == set(loads.references)
    sizes = {name: sample.size or 0 for name, sample in samples.items()}
    # An unchanged page has no body, and as many headers as a page.
    assert sizes["empty route"] < min(sizes["unchanged"], sizes["stats"])
    assert max(sizes["unchanged"], sizes["stats"]) < 2000 < sizes["items, 20"]
    # Each page of 100 is there, and so are its titles.
    assert 4 < sizes["items of 100"] / sizes["items, 20"] < 10
    assert samples["empty route"].cached is None
    assert 0 < (samples["items, 20"].cached or 0) <= 1
    assert all(0 < (sample.generator or 0) < 1.5 for sample in samples.values())
    # The baseline's routes and the service have a process each.
    assert all(1 < quantity(sample, "processor") < 10_000 for sample in samples.values())


@pytest.mark.usefixtures("generator")
def test_throughput_measures_two_servers_at_the_same_time(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way: list[int] = []

    def noted(load: Load, *, seconds: int) -> Popen[str]:
        under_way.append(sum(each.poll() is None for each in started))
        started.append(start(load, seconds=seconds))
        return started[-1]

    started: list[Popen[str]] = []
    start = wrk.start
    monkeypatch.setattr(wrk, "start", noted)
    cases = (Case("empty", BASELINE, "empty", of=None), Case("items", USUAL, "items20", of="empty"))
    samples = Throughput(cases, at_once_s=1).measure(environment, 0)

    assert under_way == [0, 1]
    assert (samples["empty"].size or 0) < 2000 < (samples["items"].size or 0)
    assert samples["empty"].cached is None
    assert samples["items"].cached == 1


def test_write_latency_measures_every_row_and_restores_the_lists(environment: Environment) -> None:
    changes = WriteLatency({"": USUAL})

    samples = changes.measure(environment, 0)

    assert set(samples) == set(changes.references)
    p50 = {name: sample.p50 or 0 for name, sample in samples.items()}
    assert 0 < p50["items, 20, cached"] < p50["add"]
    # The lists are as before.
    with Client(environment.url(USUAL)) as client:
        client.measure(request("GET", "/api/mylist/stats", user=user_id(1)), status=200, cache="hit")
        assert b'"total":25' in client.answer.body


@pytest.mark.usefixtures("generator")
def test_the_open_loop_runs_at_about_half_of_the_capacity(environment: Environment) -> None:
    samples = OpenLoop(CAPACITY, (LIVEZ_AT_HALF, ITEMS_AT_HALF)).measure(environment, 0)

    rate = {name: quantity(sample, "rate") for name, sample in samples.items()}
    for paced in (LIVEZ_AT_HALF, ITEMS_AT_HALF):
        assert 0.1 < rate[paced.name] / rate[CAPACITY.name] < 0.7
        assert 0 <= quantity(samples[paced.name], "late") <= 1
    assert quantity(samples[LIVEZ_AT_HALF.name], "size") < 2000 < quantity(samples[ITEMS_AT_HALF.name], "size")
    assert samples[LIVEZ_AT_HALF.name].cached is None
    assert samples[ITEMS_AT_HALF.name].cached == 1


def test_a_first_read_takes_more_processor_time_than_a_cached_one(environment: Environment) -> None:
    samples = FirstRead(RENDERING).measure(environment, 0)

    cached, loaded = (quantity(samples[row], "processor") for row in (CACHED_PAGE, LOADED_PAGE))
    # The cost of a load includes only the service, not its stores, so it is less than the duration of the read.
    assert 0 < cached < loaded < quantity(samples[LOADED_PAGE], "p99") * 1000


def test_import_latency_measures_short_and_long_imports(environment: Environment) -> None:
    imports = ImportLatency(USUAL, lines=(20, 300, 400))
    samples = imports.measure(environment, 0)

    assert set(samples) == set(imports.references)
    assert 0 < quantity(samples[SHORT_IMPORT], "p50") < quantity(samples[LONG_IMPORT], "p50")
    with Client(environment.url(USUAL)) as client:
        client.measure(request("GET", "/api/mylist/stats", user="import-0-400"), status=200)
    assert json.loads(client.answer.body)["data"]["total"] == 400


def test_the_start_of_the_service_costs_more_than_that_of_an_empty_server(environment: Environment) -> None:
    samples = ServiceStart(UNTRACED).measure(environment, 0)

    for name in ("processor", "memory"):
        assert quantity(samples[EMPTY_SERVER], name) < quantity(samples[AT_ITS_START], name)
    assert quantity(samples[EMPTY_SERVER], "processor") > 50_000
    assert quantity(samples[EMPTY_SERVER], "memory") / 2**20 > 20
    assert quantity(samples[AT_ITS_START], "memory") / 2**20 < 500


def test_the_driver_comparison_measures_every_row(environment: Environment) -> None:
    drivers = DriverComparison()

    samples = drivers.measure(environment, 0)

    assert set(samples) == set(drivers.references)
    assert all(sample.rate and sample.processor and sample.p50 for sample in samples.values())


def test_loop_blocking_measures_every_row(environment: Environment) -> None:
    blocking = LoopBlocking()

    samples = blocking.measure(environment, 0)

    assert set(samples) == set(blocking.references)
    assert all((sample.blocked or 0) > 0 for sample in samples.values())


@pytest.mark.usefixtures("generator")
def test_neighbours_measures_reads_beside_a_greedy_user(environment: Environment) -> None:
    samples = Neighbours(USUAL).measure(environment, 0)

    assert set(samples) == {ALONE, BESIDE_SELECTIONS, BESIDE_IMPORTS}
    for sample in samples.values():
        assert quantity(sample, "rate") > 10
        assert 0 < quantity(sample, "p50") <= quantity(sample, "p99")
        assert quantity(sample, "lost") < 0.01


def test_memory_measures_the_bytes_of_a_list(environment: Environment) -> None:
    samples = Memory(USUAL).measure(environment, 0)

    assert 545 < (samples[OF_A_LIST].memory or 0) < 1000


def test_filling_redis_creates_every_list_with_the_same_size(opened: Stores) -> None:
    with Redis.from_url(opened.redis.uri) as redis:
        fill(opened.redis.uri, CachedLists("other-", 12_345, 25), TITLES)

        # Counted by name: heartbeats of a service write a key of their own, which expires.
        assert len(set(redis.scan_iter(match=f"{key_of('other-')[:-1]}*", count=5_000))) == 12_345
        assert redis.memory_usage(key_of("other-00012345")) == redis.memory_usage(key_of("other-00000001"))


def test_filled_lists_have_the_same_first_page_at_any_length(environment: Environment) -> None:
    pages = []
    with Client(environment.url(USUAL)) as client:
        for lists in (CachedLists("long-", 3, 3000), CachedLists("short-", 3, 25)):
            environment.fill_redis(lists, USUAL)
            user = f"{lists.prefix}00000002"
            client.measure(request("GET", "/api/mylist/items", user=user), status=200, cache="hit")
            page = client.answer.json()["data"]
            assert page["total"] == lists.length
            pages.append([(item["content"], item["addedAt"]) for item in page["items"]])
    assert pages[0] == pages[1]
    assert all(content for content, _ in pages[0])


def test_an_unexpected_answer_stops_the_measurement(environment: Environment) -> None:
    with Client(environment.url(USUAL)) as client:
        with pytest.raises(UnexpectedAnswerError, match="200, hit in place of 200, miss"):
            client.measure(request("GET", "/api/mylist/items", user=user_id(2)), status=200, cache="miss")
        with pytest.raises(UnexpectedAnswerError, match="400, None in place of 200, any"):
            client.measure(request("GET", "/api/mylist/items"), status=200)


@pytest.mark.usefixtures("generator")
def test_the_profile_error_names_the_right_that_py_spy_needs(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.service(USUAL).process, "pid", 2**22 - 1)  # the id of no process
    with pytest.raises(ProfileError, match="the right to trace processes"):
        record(environment, tmp_path / "profile.svg")


@pytest.mark.usefixtures("generator")
def test_the_packages_of_each_kind_of_work_are_sampled(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_shares, "_DURATION_S", 2)

    shares = processor_shares.measure(environment, tmp_path)

    for of in shares.values():
        assert sum(of.values()) == pytest.approx(1)
    assert shares["items, 20"]["this service"] > 0.2
    # A read from the cache asks no MongoDB.
    assert shares["a list that Redis does not have"]["PyMongo"] > max(0.1, 2 * shares["items, 20"].get("PyMongo", 0))
    assert shares["the start of a process"][processor_shares.STANDARD_LIBRARY] > 0.1
