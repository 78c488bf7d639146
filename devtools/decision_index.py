"""The index of docs/decisions, and the links from each decision to those that amend it.

A decision declares its title, its status, and which earlier ones it amends or supersedes:

    # 9. Sentinel and Cluster, and what a failover may lose

    Status: accepted, November 2026. Amends [0004](0004-fenced-cache.md).

`Amended by` and `Superseded by` follow from that, in the earlier decision and in the index.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
INDEX = FOLDER / "README.md"
_FILE = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
_TITLE = re.compile(r"# (\d+)\. (\S.*)")
_STATUS = re.compile(
    r"(?:Status: )?(?P<status>[Aa]ccepted|[Pp]roposed|[Ss]uperseded|[Rr]ejected), (?P<date>[A-Z][a-z]+ \d{4})\."
)
_RELATION = re.compile(r" (?P<verb>Amends|Supersedes) (?P<links>[^.]*(?:\.md\)[^.]*)+)\.")
_PASSIVE = {"Amends": "Amended by", "Supersedes": "Superseded by"}
_DERIVED = re.compile(rf" (?:{'|'.join(_PASSIVE.values())}) [^.]*(?:\.md\)[^.]*)+\.")
_LINKED = re.compile(r"\]\((\d{4})-[a-z0-9-]+\.md\)")


class DecisionError(Exception):
    """A file is not a decision; the message is one line with the file and the missing part."""


@dataclass(frozen=True)
class Decision:
    """A decision as its file declares it.

    Attributes:
        file: its name.
        number: four digits.
        title: without the number.
        status: accepted, proposed, superseded or rejected.
        date: month and year.
        relations: the numbers of the decisions that it amends or supersedes, by the verb.
        note: the rest of the paragraph of the status.
        rest: the file after that paragraph.
    """

    file: str
    number: str
    title: str
    status: str
    date: str
    relations: Mapping[str, tuple[str, ...]]
    note: str
    rest: str


def read(path: Path) -> Decision:
    """Read a decision.

    Raises:
        DecisionError: its name, its title or its status is not as the others have it.
    """
    title, _, after = path.read_text().partition("\n\n")
    status, _, rest = after.partition("\n\n")
    status = _DERIVED.sub("", " ".join(status.split()))
    named, titled, declared = _FILE.fullmatch(path.name), _TITLE.fullmatch(title), _STATUS.match(status)
    if not named or not titled or int(named[1]) != int(titled[1]):
        raise DecisionError(
            f"{path.name}: the first line must be `# NUMBER. Title`, with the number of the file's name"
        )
    if not declared:
        raise DecisionError(
            f"{path.name}: the title must be followed by `Status: accepted, November 2026.`, or another status"
        )
    after_status = status[declared.end() :]
    relations = {each["verb"]: tuple(_LINKED.findall(each["links"])) for each in _RELATION.finditer(after_status)}
    note = _RELATION.sub("", after_status).strip()
    return Decision(path.name, named[1], titled[2], declared["status"].lower(), declared["date"], relations, note, rest)


def decisions() -> dict[str, Decision]:
    """Return every decision by its number.

    Raises:
        DecisionError: a file is not a decision, two have one number, or one amends a missing or later decision.
    """
    found: dict[str, Decision] = {}
    for path in sorted(FOLDER.glob("*.md")):
        if path == INDEX:
            continue
        decision = read(path)
        if decision.number in found:
            raise DecisionError(f"{decision.file}: {found[decision.number].file} has this number already")
        for number in (each for numbers in decision.relations.values() for each in numbers):
            if number not in found:
                raise DecisionError(f"{decision.file}: there is no earlier decision {number} to amend or supersede")
        found[decision.number] = decision
    return found


def text_of(decision: Decision, among: Mapping[str, Decision]) -> str:
    """Return the file of a decision as it must be."""
    sentences = [f"Status: {decision.status}, {decision.date}."]
    sentences += [f"{verb} {_links(numbers, among)}." for verb, numbers in decision.relations.items()]
    sentences += [
        f"{passive} {_links(by, among)}." for verb, passive in _PASSIVE.items() if (by := _by(decision, verb, among))
    ]
    paragraph = " ".join([*sentences, decision.note]).strip()
    return f"# {int(decision.number)}. {decision.title}\n\n{paragraph}\n\n{decision.rest}"


def index(among: Mapping[str, Decision]) -> str:
    """Return the table of the index."""
    rows = ["| Decision | Status | Amends | Amended by |", "| --- | --- | --- | --- |"]
    for each in among.values():
        earlier = [number for numbers in each.relations.values() for number in numbers]
        later = sorted({number for verb in _PASSIVE for number in _by(each, verb, among)})
        cells = (
            f"[{each.number}]({each.file}) {each.title}",
            each.status,
            _links(earlier, among),
            _links(later, among),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(["", *rows, "", ""])


def write() -> None:
    """Write the links that follow from the declarations into the decisions; `documents` writes the index."""
    among = decisions()
    for each in among.values():
        (FOLDER / each.file).write_text(text_of(each, among))


def _by(decision: Decision, verb: str, among: Mapping[str, Decision]) -> list[str]:
    return [each.number for each in among.values() if decision.number in each.relations.get(verb, ())]


def _links(numbers: Iterable[str], among: Mapping[str, Decision]) -> str:
    return ", ".join(f"[{number}]({among[number].file})" for number in numbers)
