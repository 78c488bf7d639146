"""The service's view of MongoDB's `hello`: at its start, and when it asks for the time."""

from typing import Any

import httpx

from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.titles import MATRIX_ID


def test_the_change_feed_returns_200_or_503_right_after_the_start(serve: Serve, user_id: str) -> None:
    for _ in range(3):
        with connect(serve()) as client:
            answers = [client.get("/api/mylist/changes", headers={"user-id": user_id}) for _ in range(20)]

            assert {each.status_code for each in answers} <= {200, 503}
            assert answers[-1].status_code == 200


def test_the_change_feed_shows_a_change_made_a_moment_ago(users: list[User]) -> None:
    writer, reader = users
    token = changes(reader)["token"]
    assert writer.add(MATRIX_ID).status_code == 201
    added = changes(reader, token)
    assert [(each["change"], each["contentId"]) for each in added["changes"]] == [("added", MATRIX_ID)]

    assert writer.remove(MATRIX_ID).status_code == 200
    removed = changes(reader, added["token"])["changes"]
    assert [(each["change"], each["contentId"]) for each in removed][-1] == ("removed", MATRIX_ID)


def test_the_service_is_healthy_on_any_topology(clients: list[httpx.Client]) -> None:
    for client in clients:
        health = client.get("/health")
        assert health.status_code == 200, health.text
        assert client.get("/readyz").status_code == 200


def changes(user: User, since: str = "") -> dict[str, Any]:
    query = f"?since={since}" if since else ""
    answer = user.client.get(f"/api/mylist/changes{query}", headers=user.headers)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data
