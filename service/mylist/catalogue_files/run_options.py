"""What `mylist catalogue import` is asked for, and what it did."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mylist.catalogue_files.counts import Counts, LineError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, ExternalIdRules


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for.

    Attributes:
        files: their names; `-` is standard input.
        dry: whether to count only.
        errors: the file to which the errors are written, as JSON Lines.
        checkpoint: the file that keeps how far the run is.
        withdraws: whether titles that no line names are withdrawn.
        withdraw_up_to: percent of the titles of a type that may be.
        external_ids: what the platform says of external ids.
    """

    files: Sequence[str]
    dry: bool = False
    errors: Path | None = None
    checkpoint: Path | None = None
    withdraws: bool = False
    withdraw_up_to: float = 0.0
    external_ids: ExternalIdRules = DEFAULT_EXTERNAL_ID_RULES


@dataclass(slots=True)
class Import:
    """What a run did.

    Attributes:
        counts: of titles.
        first_errors: the first lines that are not in the catalogue.
        not_withdrawn: why nothing was withdrawn though it was asked for; empty otherwise.
        resumed_after: records that a run before had done.
    """

    counts: Counts = field(default_factory=Counts)
    first_errors: list[LineError] = field(default_factory=list)
    not_withdrawn: str = ""
    resumed_after: int = 0

    @property
    def problem(self) -> str:
        """What is not as it was asked for, in a line each; empty if all is."""
        lines = []
        if failures := self.counts.failures:
            lines.append(f"{failures:,} lines are not in the catalogue")
        if cut := self.counts.cut_files:
            lines.append(f"{cut:,} {'file' if cut == 1 else 'files'} could not be read, or not to the end")
        if self.not_withdrawn:
            lines.append(f"nothing was withdrawn: {self.not_withdrawn}")
        return "\n".join(lines)


def told(done: Import, options: Options) -> str:
    """Return what a run says at its end: the counts, the errors, and what to do next."""
    counts, first, file = done.counts, done.first_errors, options.errors
    lines = [counts.table(), ""]
    if done.resumed_after:
        lines.append(f"{done.resumed_after:,} titles of these were read by the run before.")
    if counts.others:
        others = ", ".join(f"{name} ({number:,})" for name, number in counts.others.items())
        lines.append(f"Fields that neither the schema nor EXTERNAL_ID_NAMES names, stored as they are: {others}.")
    if not file:
        lines += [each.told() for each in first]
        if more := counts.failures + counts.cut_files - len(first):
            lines.append(f"{more:,} more; `--errors FILE` writes all of them to a file.")
    elif first:
        lines.append(f"The lines that are not in the catalogue are in {file}, each with its error.")
    if options.dry:
        lines.append("Nothing was changed. Next: the same command without --dry-run.")
    elif counts.inserted or counts.updated or counts.withdrawn:
        lines.append("Running services show it within CATALOGUE_TTL.")
    return "\n".join(lines).rstrip()
