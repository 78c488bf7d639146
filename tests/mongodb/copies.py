"""A device that keeps a copy of a list from its change feed."""

from http import HTTPStatus

from tests.contract.conftest import User


class Copy:
    """A copy of a user's list.

    Attributes:
        items: when each item was added, by its content id.
    """

    def __init__(self, user: User) -> None:
        self._user = user
        self._token = ""
        self.items: dict[str, str] = {}

    def catch_up(self) -> None:
        """Read the change feed to its end, or until MongoDB is unavailable."""
        more = True
        while more:
            query = f"?since={self._token}" if self._token else ""
            answer = self._user.client.get(f"/api/mylist/changes{query}", headers=self._user.headers)
            if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                return
            assert answer.status_code == HTTPStatus.OK, answer.text
            data = answer.json()["data"]
            for change in data["changes"]:
                if change["change"] == "added":
                    self.items[change["contentId"]] = change["addedAt"]
                else:
                    self.items.pop(change["contentId"], None)
            self._token, more = data["token"], data["hasMore"]
