"""The conditions of a change: what must be true of a list for the change to be made, as its client says."""

from dataclasses import dataclass

from mylist.domain.change_feed import SyncState
from mylist.domain.errors import ConfirmationRequiredError, PreconditionFailedError
from mylist.domain.etags import has_star, names_etag


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one request that changes a list.

    ETags are those of the whole list. `*` stands for the subject of the request: an item that is on the list, or the
    list, which always exists.

    Attributes:
        if_match: the `If-Match` headers as one list; None without any.
        if_none_match: the `If-None-Match` headers as one list; None without any.
        is_confirmed: whether the request confirms that it may remove more than it names.
        unless_removed_since: which removals the client knows; an item that was removed later is not added again.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    is_confirmed: bool = False
    unless_removed_since: SyncState | None = None

    @property
    def are_of_list(self) -> bool:
        """Whether there is an `If-Match` or `If-None-Match`."""
        return self.if_match is not None or self.if_none_match is not None

    @property
    def name_etags(self) -> bool:
        """Whether one of them has an ETag, not `*` alone."""
        return any(each is not None and each.strip() != "*" for each in (self.if_match, self.if_none_match))

    @property
    def name_list(self) -> bool:
        """Whether the request says which list it means to change, or is confirmed; `*` would be any."""
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
        """Refuse a request that would remove more than it names, unless it has a confirmation or an `If-Match`.

        `*` names no list: clients send it with every removal that is to find something.

        Args:
            reason: what would happen, for the message.

        Raises:
            ConfirmationRequiredError: it has neither.
        """
        if not self.name_list:
            raise ConfirmationRequiredError(reason)


UNCONDITIONAL = Conditions()
