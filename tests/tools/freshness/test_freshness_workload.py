"""The freshness checker's view of the service's answers."""

import json
from typing import Any

import pytest

from devtools.http_client import Answer
from tests.faults.freshness.answers import UnexpectedAnswerError, read_export, title_id, title_type
from tests.faults.freshness.history import Action, Add, Change, Contains, Discard, Operation, Remove, as_page
from tests.faults.freshness.linearizability import Kind, check
from tests.faults.freshness.sync_client import SyncClient
from tests.faults.freshness.writes import Write, add, batch, clear, discard, merge, put, remove, replace

A, B = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z"
USER = "user-1"


def answer(data: object, status: int = 200) -> Answer:
    return Answer(status, {}, json.dumps({"success": True, "data": data}).encode())


def lines(*each: object) -> Answer:
    return Answer(200, {}, b"".join(json.dumps(line).encode() + b"\n" for line in each))


def entry(title: int, added_at: str = A) -> dict[str, Any]:
    return {"contentId": title_id(title), "contentType": title_type(title), "addedAt": added_at}


def outcome(title: int, outcome: str) -> dict[str, Any]:
    return {"contentId": title_id(title), "outcome": outcome}


def refused(code: str, status: int) -> Answer:
    return Answer(status, {}, json.dumps({"code": code}).encode())


def changed(title: int, added_at: str | None) -> dict[str, Any]:
    change = {"change": "added" if added_at else "removed", "changedAt": A, **entry(title, added_at or "")}
    return change if added_at else {name: value for name, value in change.items() if name != "addedAt"}


def changes(*each: dict[str, Any], since: str = "one", more: bool = False) -> Answer:
    return answer({"changes": each, "token": since, "hasMore": more})


class TestDevice:
    def test_shows_the_list_that_results_from_the_changes(self) -> None:
        sync_client = SyncClient()
        assert sync_client.read(changes(changed(1, A), changed(2, B))) == as_page([(2, B), (1, A)])
        assert sync_client.read(changes()) == as_page([(2, B), (1, A)])
        assert sync_client.read(changes(changed(1, None), changed(3, A), changed(1, None))) == as_page([(2, B), (3, A)])
        assert sync_client.read(changes(changed(2, None), changed(2, A))) == as_page([(2, A), (3, A)])

    def test_sends_the_token_of_the_last_answer(self) -> None:
        sync_client = SyncClient()
        first = sync_client.path
        sync_client.read(changes(changed(1, A), since="two"))
        assert sync_client.path == f"{first}&since=two"
        sync_client.forget()
        assert sync_client.path == first
        assert sync_client.read(changes(changed(2, B))) == as_page([(2, B)])

    @pytest.mark.parametrize(
        "unexpected",
        [
            changes(changed(2, A), more=True),
            changes(changed(2, A) | {"contentType": title_type(1)}),
            changes(changed(3, A), changed(2, A) | {"change": "removed"}),
            changes(changed(2, A) | {"change": "moved"}),
            refused("SYNC_TOKEN_EXPIRED", 410),
        ],
    )
    def test_rejects_an_unexpected_answer_and_keeps_its_state(self, unexpected: Answer) -> None:
        sync_client = SyncClient()
        sync_client.read(changes(changed(1, A)))
        path = sync_client.path
        with pytest.raises(UnexpectedAnswerError):
            sync_client.read(unexpected)
        assert sync_client.path == path
        assert sync_client.read(changes()) == as_page([(1, A)])

    def test_shows_a_stale_list_if_the_service_skips_a_change(self) -> None:
        def seen(*answers: Answer) -> list[Kind]:
            sync_client = SyncClient()
            history = [Operation(0, 1, 0, Add(1, A)), Operation(2, 3, 0, Add(2, B)), Operation(4, 5, 0, Remove(1))]
            reads = [Operation(6 + turn, 6.5 + turn, 0, sync_client.read(each)) for turn, each in enumerate(answers)]
            return [violation.kind for violation in check([*history, *reads], shows=frozenset({2})).violations]

        assert not seen(changes(changed(2, B)))
        assert seen(changes(changed(1, A)), changes(changed(2, B), changed(1, None))) == [Kind.STALE]
        assert seen(changes(changed(1, A), changed(2, B)), changes()) == [Kind.STALE] * 2
        assert seen(changes(), changes(changed(1, None))) == [Kind.STALE] * 2


FOUND, MISSING = Contains(1, present=True), Contains(1, present=False)


class TestAnswerToAWrite:
    @pytest.mark.parametrize(
        ("write", "answer", "actions"),
        [
            (add(USER, 1), answer({"userId": USER, **entry(1)}, 201), [Add(1, A)]),
            (add(USER, 1), refused("ITEM_ALREADY_IN_LIST", 409), [FOUND]),
            (put(USER, 1), answer({"userId": USER, **entry(1)}, 201), [Add(1, A)]),
            (put(USER, 1), answer({"userId": USER, **entry(1)}), [FOUND]),
            (remove(1), answer(None), [Remove(1)]),
            (remove(1), refused("ITEM_NOT_IN_LIST", 404), [MISSING]),
            (discard(1), Answer(204, {}, b""), [Discard(1)]),
            (clear([1, 2]), answer({"removed": 1}), [Discard(1), Discard(2)]),
            (
                batch([2, 3], [1, 4]),
                answer(
                    {
                        "add": [outcome(2, "added"), outcome(3, "existing")],
                        "remove": [outcome(1, "removed"), outcome(4, "missing")],
                    }
                ),
                [Add(2, None), Contains(3, present=True), FOUND, Discard(1), Contains(4, present=False)],
            ),
            (
                merge([(1, A), (2, B)]),
                lines({"line": 1, **outcome(1, "existing")}, {"line": 2, **outcome(2, "added")}),
                [FOUND, Add(2, B)],
            ),
            (
                replace([(2, B)], [1, 3]),
                lines({"line": 1, **outcome(2, "added")}, {"line": None, **outcome(1, "removed")}),
                [Add(2, B), FOUND, Discard(1), Contains(3, present=False)],
            ),
            (replace([(1, B)], []), lines({"line": 1, **outcome(1, "dated")}), [Add(1, B), Remove(1)]),
        ],
    )
    def test_yields_the_outcome_of_each_title(self, write: Write, answer: Answer, actions: list[Action]) -> None:
        assert write.told(answer) == actions

    @pytest.mark.parametrize(
        ("write", "answer"),
        [
            (add(USER, 1), answer({"userId": "user-2", **entry(1)}, 201)),
            (add(USER, 1), answer({"userId": USER, **entry(2)}, 201)),
            (add(USER, 1), answer({"userId": USER, **entry(1)}, 200)),
            (put(USER, 1), refused("ITEM_ALREADY_IN_LIST", 409)),
            (remove(1), refused("NOT_FOUND", 404)),
            (discard(1), refused("ITEM_NOT_IN_LIST", 404)),
            (clear([1]), answer({"removed": 2})),
            (batch([1], [2]), answer({"add": [outcome(1, "added")], "remove": []})),
            (batch([1], [2]), answer({"add": [outcome(1, "not_found")], "remove": [outcome(2, "removed")]})),
            (merge([(1, A)]), lines({"line": 1, **outcome(1, "full")})),
            (merge([(1, A)]), lines({"line": 2, **outcome(1, "added")})),
            (merge([(1, A)]), lines()),
            (
                replace([(1, A)], [2]),
                lines({"line": 1, **outcome(1, "added")}, {"line": None, **outcome(3, "removed")}),
            ),
        ],
    )
    def test_is_rejected_if_it_does_not_fit_the_write(self, write: Write, answer: Answer) -> None:
        with pytest.raises(UnexpectedAnswerError):
            write.told(answer)

    def test_an_item_that_a_batch_added_has_the_time_span_of_the_request(self) -> None:
        [added] = batch([1], []).told(answer({"add": [outcome(1, "added")], "remove": []}))
        assert isinstance(added, Add)
        earliest, latest = added.span
        assert A < earliest <= latest < "3"

    @pytest.mark.parametrize(
        ("write", "possible"),
        [
            (put(USER, 1), [Add(1, None)]),
            (discard(1), [Remove(1)]),
            (batch([1], [2]), [Add(1, None), Remove(2)]),
            (merge([(1, A)]), [Add(1, A)]),
            (replace([(1, A)], [2, 3]), [Add(1, A), Remove(1), Remove(2), Remove(3)]),
            (clear([1, 2]), [Remove(1), Remove(2)]),
        ],
    )
    def test_without_an_answer_each_change_of_the_write_may_have_happened(
        self, write: Write, possible: list[Change]
    ) -> None:
        assert write.possible == possible


class TestExport:
    def test_is_read_as_the_whole_list_in_the_order_of_its_lines(self) -> None:
        assert read_export(lines(), USER) == as_page([])
        assert read_export(lines(entry(2, B), entry(1)), USER) == as_page([(2, B), (1, A)])
        assert read_export(lines(entry(1), entry(2, B)), USER).flaw == "reordered"

    @pytest.mark.parametrize("wrong", [lines({}), lines(entry(1) | {"contentType": title_type(2)}), refused("X", 400)])
    def test_with_wrong_lines_is_rejected(self, wrong: Answer) -> None:
        with pytest.raises(UnexpectedAnswerError):
            read_export(wrong, USER)
