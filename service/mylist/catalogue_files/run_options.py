"""The options and the result of `mylist catalogue import`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mylist.catalogue_files.counts import Counts, LineError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, ExternalIdRules


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run.

    Attributes:
        files: their names; `-` is standard input.
        dry: whether to count only.
        errors: the file to which the errors are written, as JSON Lines.
        checkpoint: the file with the progress of the run.
        withdraws: whether titles that no line names are withdrawn.
        withdraw_up_to: maximum percentage of a type's titles to withdraw.
        external_ids: the platform's rules for external ids.
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
    """The result of a run.

    Attributes:
        counts: counts of titles.
        first_errors: the first lines that were not imported.
        not_withdrawn: why nothing was withdrawn although the options asked for it; empty otherwise.
        resumed_after: number of records that an earlier run imported.
    """

    counts: Counts = field(default_factory=Counts)
    first_errors: list[LineError] = field(default_factory=list)
    not_withdrawn: str = ""
    resumed_after: int = 0

    @property
    def problem(self) -> str:
        """The failures of the run, one line each; empty if it did everything."""
        lines = []
        if failures := self.counts.failures:
            lines.append(f"{failures:,} lines are not in the catalogue")
        if cut := self.counts.cut_files:
            lines.append(f"{cut:,} {'file' if cut == 1 else 'files'} could not be read completely")
        if self.not_withdrawn:
            lines.append(f"nothing was withdrawn: {self.not_withdrawn}")
        return "\n".join(lines)


def told(done: Import, options: Options) -> str:
    """Return the final report of a run: the counts, the errors, and what to do next."""
    counts, first, file = done.counts, done.first_errors, options.errors
    lines = [counts.table(), ""]
    if done.resumed_after:
        lines.append(f"An earlier run had already read {done.resumed_after:,} of these titles.")
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
        lines.append("Running services show the changes within CATALOGUE_TTL.")
    return "\n".join(lines).rstrip()
