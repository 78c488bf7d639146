"""The conclusions of a process from the registry, and its behaviour if MongoDB does not answer, or answers late."""

from collections.abc import Set as AbstractSet

from mylist.domain.process_registry import (
    ALL,
    BEAT_INTERVAL_S,
    GONE_AFTER_S,
    REGISTRY_KNOWN_S,
    CacheAgreement,
    Registry,
    RegistryChange,
)

REDIS = "a Redis"
NOBODY: AbstractSet[str] = frozenset()
WAIT_S = 3.0


class Store:
    """A registry in memory."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.registry = Registry()

    def change(self, change: RegistryChange) -> bool:
        entries = dict(self.registry.entries)
        own = entries.get(change.process_id)
        if (own.beat if own else None) != change.beat:
            return False
        for each in change.gone:
            del entries[each]
        if change.entry:
            entries[change.process_id] = change.entry
        else:
            del entries[change.process_id]
        self.registry = Registry(
            epoch=self.registry.epoch if change.epoch is None else change.epoch,
            cache=self.registry.cache if change.cache is None else change.cache,
            declarations=self.registry.declarations + change.declares,
            entries=entries,
        )
        return True


class Process:
    """A process and its agreement."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.answered = 0.0
        self.agreement = CacheAgreement(
            name, clock=lambda: store.now, wait_s=WAIT_S, last_success=lambda: self.answered
        )
        self.agreement.is_kept = True

    def renew(self, cache: str = REDIS, unfenced: AbstractSet[str] = NOBODY, *, is_told: bool = True) -> None:
        """Read and change the registry. Unless `is_told`, the answer to the change is lost."""
        store = self.store
        self.agreement.take(store.registry, store.now)
        change = self.agreement.next_change(cache, unfenced)
        if change and store.change(change) and is_told:
            self.agreement.take_changed(change, store.registry, store.now)

    def covers(self, *, fenced: bool, cache: str = REDIS) -> bool:
        return self.agreement.covers(None, cache, fenced=fenced)


def two() -> tuple[Process, Process]:
    store = Store()
    processes = Process(store, "one"), Process(store, "two")
    for _ in range(3):
        for each in processes:
            each.renew()
    assert not processes[0].agreement.blocked | processes[1].agreement.blocked
    return processes


def test_an_unregistered_process_trusts_and_covers_nothing() -> None:
    one = Process(Store(), "one")

    assert one.agreement.blocked == {ALL}
    assert not one.agreement.agrees_on(REDIS)
    assert not one.covers(fenced=True)


def test_the_last_reading_of_the_registry_stays_valid_while_mongodb_does_not_answer() -> None:
    one, _ = two()
    one.answered = one.store.now

    one.store.now += 10 * REGISTRY_KNOWN_S
    assert not one.agreement.blocked

    one.answered = one.store.now
    assert one.agreement.blocked == {ALL}, "others may have been answered too, and have declared something"
    assert one.agreement.withheld["not_registered"]
    one.renew()
    assert not one.agreement.blocked


def test_a_declaration_whose_answer_was_lost_covers_nothing_until_it_is_repeated() -> None:
    one, two_ = two()

    one.renew(unfenced={ALL}, is_told=False)
    one.agreement.take(one.store.registry, one.store.now)
    assert not one.covers(fenced=False)

    two_.renew()
    one.renew(unfenced={ALL})
    one.renew(unfenced={ALL})
    assert one.covers(fenced=False)
    assert two_.agreement.blocked == {ALL}


def test_a_declaration_covers_nothing_while_its_withdrawal_may_be_in_flight() -> None:
    one, two_ = two()
    one.renew(unfenced={ALL})
    two_.renew()
    one.renew(unfenced={ALL})
    assert one.covers(fenced=False)

    withdrawal = one.agreement.next_change(REDIS, NOBODY)
    assert withdrawal is not None
    assert not one.covers(fenced=False), "it may have been made"
    one.renew(unfenced={ALL})
    assert not one.store.change(withdrawal), "it cannot be made any more"
    two_.renew()
    one.renew(unfenced={ALL})
    assert one.covers(fenced=False)


def test_a_process_covers_nothing_once_others_may_consider_it_gone() -> None:
    one, _ = two()

    one.store.now += GONE_AFTER_S - BEAT_INTERVAL_S
    assert one.covers(fenced=True)
    one.store.now += BEAT_INTERVAL_S
    assert not one.covers(fenced=True)
    one.renew()
    assert one.covers(fenced=True)


def test_a_fence_covers_changes_only_in_a_redis_that_was_declared_and_heeded() -> None:
    one, two_ = two()
    assert not one.covers(fenced=True, cache="another Redis")

    one.renew("another Redis")
    assert not one.covers(fenced=True, cache="another Redis"), "nobody has heeded it"
    two_.renew()
    one.renew("another Redis")
    assert one.covers(fenced=True, cache="another Redis")
    assert one.agreement.blocked == two_.agreement.blocked == {ALL}


def test_another_redis_is_reported_only_after_a_process_has_declared_it() -> None:
    one, two_ = two()
    newcomer = Process(one.store, "newcomer")

    newcomer.agreement.take(one.store.registry, one.store.now)
    assert newcomer.agreement.blocked == {ALL}
    assert not newcomer.agreement.withheld["another_redis"]
    newcomer.renew(cache="")  # it has not reached Redis yet
    newcomer.renew(cache="")
    assert not newcomer.agreement.withheld["another_redis"]

    newcomer.renew(cache="another Redis")
    for each, cache in ((one, REDIS), (two_, REDIS), (newcomer, "another Redis")):
        each.renew(cache)
        assert each.agreement.withheld["another_redis"]


def test_an_unfenced_primary_blocks_only_its_own_lists() -> None:
    one, two_ = two()

    one.renew(unfenced={"a:1"})
    two_.renew()
    one.renew(unfenced={"a:1"})

    assert two_.agreement.blocked == {"a:1"}
    assert one.agreement.covers("a:1", REDIS, fenced=False)
    assert not one.agreement.covers("b:1", REDIS, fenced=False)


def test_processes_that_all_lose_redis_wait_only_for_each_others_declarations() -> None:
    one, two_ = two()

    one.renew(unfenced={ALL})
    assert not one.covers(fenced=False)
    two_.renew(unfenced={ALL})
    one.agreement.take(one.store.registry, one.store.now)

    assert one.covers(fenced=False)
    assert two_.covers(fenced=False)
