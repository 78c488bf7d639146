"""The conditions of a change: what the client requires of the list for the change to be made."""

from dataclasses import dataclass

from mylist.domain.change_feed import SyncState
from mylist.domain.errors import ConfirmationRequiredError, PreconditionFailedError
from mylist.domain.etags import has_star, names_etag


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one request that changes a list.

    ETags are those of the whole list. `*` means the subject of the request: the item, which must be on the list, or the
    list, which always exists.

    Attributes:
        if_match: the `If-Match` headers, joined to one list; None without any.
        if_none_match: the `If-None-Match` headers, joined to one list; None without any.
        is_confirmed: whether the client confirms that the request may remove items that it does not name.
        unless_removed_since: the removals that the client knows. An item that was removed later is not added again.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    is_confirmed: bool = False
    unless_removed_since: SyncState | None = None

    @property
    def are_of_list(self) -> bool:
        """Whether there is an `If-Match` or `If-None-Match` header."""
        return self.if_match is not None or self.if_none_match is not None

    @property
    def name_etags(self) -> bool:
        """Whether one of these headers has an ETag, not only `*`."""
        return any(each is not None and each.strip() != "*" for each in (self.if_match, self.if_none_match))

    @property
    def name_list(self) -> bool:
        """Whether the request names the list by an ETag, or is confirmed. `*` does not count: every list matches it."""
        return self.is_confirmed or (self.if_match is not None and self.if_match.strip() != "*")

    @property
    def only_if_absent(self) -> bool:
        """Whether an item may be added only if it is not on the list and was not removed from it."""
        return self.if_none_match is not None and has_star(self.if_none_match)

    def require(self, etag: str, *, exists: bool = True) -> None:
        """Compare the conditions with a list.

        Args:
            etag: of the list.
            exists: whether the subject of the request exists.

        Raises:
            PreconditionFailedError: a condition is false.
        """
        if self.if_match is not None and not (
            exists if self.if_match.strip() == "*" else names_etag(self.if_match, etag)
        ):
            raise PreconditionFailedError
        if self.if_none_match is not None and (
            (exists and has_star(self.if_none_match)) or names_etag(self.if_none_match, etag)
        ):
            raise PreconditionFailedError

    def require_consent(self, reason: str) -> None:
        """Refuse a request that would remove items that it does not name, unless it is confirmed or has an `If-Match`.

        `*` is not enough: clients send it with every removal that must find its item.

        Args:
            reason: what would happen, for the error message.

        Raises:
            ConfirmationRequiredError: the request has neither.
        """
        if not self.name_list:
            raise ConfirmationRequiredError(reason)


UNCONDITIONAL = Conditions()
