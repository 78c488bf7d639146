"""The API as a client sees it: a method for each route, and one error for every failure."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Self, TypedDict, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from mylist import __version__
from mylist.auth.claims import user_of
from mylist.client.arguments import DEFAULT_URL
from mylist.client.terminal import plain
from mylist.domain.errors import InvalidSyncTokenError, InvalidTokenError, SyncTokenExpiredError
from mylist.lists.sync_tokens import decode_sync_token

_T = TypeVar("_T")

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 15
_IMPORT_TIMEOUT_S = 60  # longer than the service's own timeout
_MAX_IDS = 100  # in one request
_MAX_PAGE_SIZE = 1000  # that MAX_PAGE_SIZE may allow; a service that allows less returns its own maximum


class UnusableError(Exception):
    """The URL, the token or the environment cannot be used. The message is one line and contains no secret."""


class ClientError(Exception):
    """A request failed; the message says why in one line.

    Attributes:
        code: code of the service's error; empty if it sent none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class AddedItem(TypedDict):
    """An item of a list."""

    userId: str
    contentId: str
    contentType: str
    addedAt: str


class ListedItem(AddedItem):
    """An item of a list with its movie or show; None if it was withdrawn."""

    content: dict[str, Any] | None


class Page(TypedDict):
    """One page; `page` and `pageSize` are those that the service applied."""

    items: list[ListedItem]
    total: int
    page: int
    pageSize: int
    totalPages: int


class Part(TypedDict):
    """Some items, and the cursor of the next ones; None at the end."""

    items: list[ListedItem]
    nextCursor: str | None


class Stats(TypedDict):
    """The number of items on the list, in total and by type."""

    total: int
    byType: dict[str, int]


class Changes(TypedDict):
    """The items added and removed, oldest first, and the token for the next request."""

    changes: list[dict[str, Any]]
    token: str


class _SomeChanges(Changes):
    hasMore: bool


class _Cleared(TypedDict):
    removed: int


class Candidate(Struct, rename="camel"):
    """A movie or show that a line of an import may mean."""

    content_id: str
    content_type: str
    title: str = ""
    year: int | None = None


class ImportedLine(Struct, rename="camel"):
    """The outcome of a line of an import; without a number, of an item that no line names."""

    line: int | None
    outcome: str
    content_id: str | None = None
    error: str | None = None
    title: str | None = None
    year: int | None = None
    candidates: list[Candidate] = []


class Presence(TypedDict):
    """Whether each content id is on the list, in the order of the request."""

    contains: list[bool]


class _Answer(Struct, Generic[_T]):
    data: _T


class _Done(Struct):
    success: bool


class _Failure(Struct, rename="camel"):
    error: str
    code: str
    request_id: str


class Client:
    """One user's list on a running service, as a context manager. Every method raises ClientError."""

    def __init__(self, url: str, user_id: str, token: str) -> None:
        """Prepare requests; nothing is sent yet. An empty token or user is not sent.

        Raises:
            UnusableError: the URL, the token, or the proxy or certificates that the environment names cannot be used.
        """
        self._url = _usable(url)
        headers = {"user-agent": f"mylist/{__version__}"}
        if user_id:
            headers["user-id"] = user_id
        if token:
            if not token.isascii() or not token.isprintable():
                raise UnusableError("MYLIST_TOKEN holds characters that a header cannot carry; set a valid token")
            headers["authorization"] = f"Bearer {token}"
        timeout = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        try:
            self._http = httpx.Client(base_url=self._url, headers=headers, timeout=timeout)
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            raise UnusableError(
                f"the environment's proxy or certificates cannot be used: {plain(str(error))}; "
                "look at HTTPS_PROXY and SSL_CERT_FILE"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def identifies_by_token(self) -> bool:
        """Return whether the service itself takes the user from the token. Then its answers vary by the token."""
        answer = self._send("GET", "limits")
        named = answer.headers.get("vary", "").lower().split(",")
        return "authorization" in map(str.strip, named)

    def asks_for(self, user_id: str) -> bool:
        """Return whether the service identifies the caller as this user: a sync token names its user.

        A gateway may ignore the user that the client sends, and put another user into the request.
        """
        token = self._ask(_Answer[Changes], "GET", "changes", params={"limit": 1}).data["token"]
        try:
            decode_sync_token(user_id, token)
        except (InvalidSyncTokenError, SyncTokenExpiredError):
            return False
        return True

    def page(self, number: int, size: int | None) -> Page:
        """Return a page of the list, newest first. Without `size`, the service's default size applies."""
        parameters = {"page": number} if size is None else {"page": number, "pageSize": size}
        return self._ask(_Answer[Page], "GET", "items", params=parameters).data

    def items(self, size: int | None) -> list[ListedItem]:
        """Return the whole list, requested in parts of `size`, or of the service's maximum without `size`.

        Items that are added meanwhile are left out.
        """
        items: list[ListedItem] = []
        cursor: str | None = ""
        while cursor is not None:
            parameters = {"cursor": cursor, "pageSize": size or _MAX_PAGE_SIZE}
            part = self._ask(_Answer[Part], "GET", "items", params=parameters).data
            items += part["items"]
            cursor = part["nextCursor"]
        return items

    def add(self, content_id: str, content_type: str) -> AddedItem:
        """Add a movie or show."""
        body = {"contentId": content_id, "contentType": content_type}
        return self._ask(_Answer[AddedItem], "POST", "add", changes=True, json=body).data

    def remove(self, content_id: str) -> None:
        """Remove an item."""
        # Dots are escaped too: a URL resolves `..`.
        segment = quote(content_id, safe="").replace(".", "%2E")
        self._ask(_Done, "DELETE", f"remove/{segment}", changes=True)

    def contains(self, content_ids: Sequence[str]) -> Presence:
        """Return whether each content id is on the list."""
        answers: list[bool] = []
        for start in range(0, len(content_ids), _MAX_IDS):
            body = {"contentIds": content_ids[start : start + _MAX_IDS]}
            answers += self._ask(_Answer[Presence], "POST", "contains", json=body).data["contains"]
        return {"contains": answers}

    def stats(self) -> Stats:
        """Return how many items are on the list."""
        return self._ask(_Answer[Stats], "GET", "stats").data

    def changes(self, since: str | None) -> Changes:
        """Return the changes since a token was issued; without a token, the whole list."""
        changes: list[dict[str, Any]] = []
        token = since
        while True:
            parameters = {} if token is None else {"since": token}
            part = self._ask(_Answer[_SomeChanges], "GET", "changes", params=parameters).data
            changes += part["changes"]
            token = part["token"]
            if not part["hasMore"]:
                return {"changes": changes, "token": token}

    def clear(self) -> int:
        """Remove all items; return their number."""
        answer = self._ask(_Answer[_Cleared], "DELETE", "items", changes=True, params={"confirm": "true"})
        return answer.data["removed"]

    @contextmanager
    def export(self, media_type: str) -> Iterator[Iterator[bytes]]:
        """Open an export, and yield its body in parts.

        Raises:
            ClientError: the export failed, has another media type, or was truncated.
        """
        with self._telling(), self._http.stream("GET", "/api/mylist/export", headers={"accept": media_type}) as answer:
            if not answer.is_success:
                answer.read()
                self._decode(answer, _Done)
            given = answer.headers.get("content-type", "").partition(";")[0]
            if given != media_type:
                raise ClientError(
                    f"{self._url} exports no {media_type}, and answered with {plain(given) or 'nothing'}; name a "
                    "file of another kind"
                )
            yield self._whole(answer)

    def _whole(self, answer: httpx.Response) -> Iterator[bytes]:
        lines = 0
        for part in answer.iter_bytes():
            lines += part.count(b"\n")
            yield part
        total = answer.headers.get("x-total-count", "")
        if not total.isdecimal() or lines < int(total):
            told = plain(total) or "an unknown number"
            raise ClientError(f"the export was cut short: {lines:,} lines of {told}; repeat it")

    def import_(self, body: bytes, media_type: str, *, replace: bool, confirm: bool) -> list[ImportedLine]:
        """Merge the items of a file into the list, or replace the list; return the outcome of each line."""
        parameters = {"mode": "replace" if replace else "merge"} | ({"confirm": "true"} if confirm else {})
        answer = self._send(
            "POST",
            "import",
            changes=True,
            params=parameters,
            content=body,
            headers={"content-type": media_type},
            timeout=httpx.Timeout(_IMPORT_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        )
        if not answer.is_success:
            self._decode(answer, _Done)
        try:
            return msgspec.json.Decoder(ImportedLine).decode_lines(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._of_something_else(answer) from error

    def _ask(
        self,
        form: type[_T],
        method: str,
        path: str,
        *,
        changes: bool = False,
        **request: Any,  # noqa: ANN401 - as httpx declares it
    ) -> _T:
        return self._decode(self._send(method, path, changes=changes, **request), form)

    def _decode(self, answer: httpx.Response, form: type[_T]) -> _T:
        try:
            if answer.is_success:
                return msgspec.json.decode(answer.content, type=form)
            failure = msgspec.json.decode(answer.content, type=_Failure)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._of_something_else(answer) from error
        raise _refusal(answer, failure)

    def _of_something_else(self, answer: httpx.Response) -> ClientError:
        status = f"{answer.status_code} {answer.reason_phrase}".rstrip()
        return ClientError(f"{self._url} answers {plain(status)}, but not as My List does; is the URL right?")

    def _send(
        self,
        method: str,
        path: str,
        *,
        changes: bool = False,
        **request: Any,  # noqa: ANN401 - as httpx declares it
    ) -> httpx.Response:
        with self._telling(changes=changes):
            return self._http.request(method, f"/api/mylist/{path}", **request)

    @contextmanager
    def _telling(self, *, changes: bool = False) -> Iterator[None]:
        """Surround a request: turn each failure into a one-line error."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = plain(str(error)) or f"no connection within {_CONNECT_TIMEOUT_S} s"
            raise ClientError(
                f"no service answers at {self._url}: {reason}; start it, or name another by --url or MYLIST_URL"
            ) from error
        except httpx.HTTPError as error:
            reason = f"nothing within {_READ_TIMEOUT_S} s" if isinstance(error, httpx.TimeoutException) else str(error)
            remedy = "the change may or may not have been applied, so read the list" if changes else "try again"
            raise ClientError(f"no answer from {self._url}: {plain(reason)}; {remedy}") from error


def user_of_token(token: str, claim: str, profile_claim: str) -> str | None:
    """Return the user of a JSON Web Token, without verifying it; None if the token cannot be read.

    Args:
        token: the token.
        claim: the claim with the user.
        profile_claim: the claim with the profile; empty without one.
    """
    try:
        _, payload, _ = token.split(".")
        claims = msgspec.json.decode(base64.urlsafe_b64decode(f"{payload}=="), type=dict[str, Any])
        return user_of(claims, claim, profile_claim)
    except (ValueError, RecursionError, InvalidTokenError):
        return None


def _usable(given: str) -> httpx.URL:
    try:
        url = httpx.URL(given)
        host = url.host.encode("idna")  # the form that DNS needs
    except (ValueError, httpx.InvalidURL):
        url, host = httpx.URL(), b""
    # Other people would see a password in the URL: in the list of processes, and in the output.
    unwanted = url.userinfo or url.query or url.fragment
    if url.scheme not in {"http", "https"} or not host or unwanted or (url.port or 0) >= 2**16:
        raise UnusableError(f"the URL must be like {DEFAULT_URL}, with no user and no query")
    return url


def _refusal(answer: httpx.Response, failure: _Failure) -> ClientError:
    wait = answer.headers.get("retry-after", "")
    advice = f"; try again after {wait} s" if wait.isdecimal() else ""
    origin = f"{failure.code}, request {failure.request_id}"
    return ClientError(plain(f"{failure.error} ({origin}){advice}"), failure.code)
