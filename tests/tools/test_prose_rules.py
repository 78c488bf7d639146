"""Each rule of .vale/MyList refuses a bad sentence, and accepts the plain one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.prose import vale

ROOT = Path(__file__).parents[2]
RULES = {path.stem for path in (ROOT / ".vale" / "MyList").glob("*.yml")}
_LONG = "The service reads the list of the user from Redis" + ", then from MongoDB" * 9
_SPLIT = "The service reads the list of the user from Redis. " + "Then it reads MongoDB. " * 9
SENTENCES: list[tuple[str, str, str]] = [
    ("AsBecause", "The read is slow, as it misses the cache.", "The read is slow because it misses the cache."),
    ("AsBecause", "As it is slow, the check fails.", "The check is slow, so it fails."),
    ("AsMuchAs", "It costs a tenth of a cached read.", "It costs 20 µs."),
    ("AsMuchAs", "Send so many as there are.", "Send all of the items."),
    ("Cleft", "It is the kernel of the node that decides.", "The kernel of the node decides."),
    ("Cleft", "This is why the process stops.", "The process stops for this reason."),
    ("DanglingIt", "The client learns the rest of it.", "The client reads the rest of the list."),
    ("DanglingIt", "All of that waits.", "All requests wait."),
    ("FormerLatter", "The service prefers the latter.", "The service prefers Redis."),
    ("Hedges", "The value is very old.", "The value is ten minutes old."),
    ("Hedges", "Of course the cache is empty.", "The cache is empty."),
    ("Inversion", "Nor does the process wait.", "The process does not wait either."),
    ("Inversion", "To each process belongs a key.", "Each process has a key."),
    ("IsNone", "The text is no URL.", "The text is not a URL."),
    ("IsNone", "The contentId is none.", "There is no contentId."),
    ("IsTo", "The port is to be open.", "The port must be open."),
    ("IsTo", "The operator has to restart it.", "The operator must restart the process."),
    ("IsTo", "The client shall wait.", "The client must wait."),
    ("MayNot", "The field may not be empty.", "The field must not be empty."),
    (
        "Negations",
        "It is not known that no process never waits.",
        "Some processes may wait, and no log shows which.",
    ),
    ("Nobody", "Nobody reads the key.", "The service does not read the key."),
    ("Nobody", "Nothing of it reads the file.", "The service does not read the file."),
    ("OfWhich", "A lease of which Redis has a copy is kept.", "Redis has a copy of the lease."),
    ("OldWords", "The process is started anew.", "The process restarts."),
    ("OldWords", "The process fences the key lest it be stale.", "The process fences the key, so it is not stale."),
    (
        "RelativeClauses",
        "The process that has the list that the client that sent the item that is late reads waits.",
        "The process has the list that the client reads.",
    ),
    ("Returns", "Gives the list.", "Return the list."),
    ("Semicolons", "Redis is away; reads are slow; writes wait.", "Redis is away; reads are slow. Writes wait."),
    ("SentenceLength", f"{_LONG}.", _SPLIT),
    ("Spelling", "The service recognises the file.", "The service recognizes the file."),
    ("Spelling", "The behavior of a neighbor.", "The behaviour of a neighbour."),
    ("Stands", "The reason stands in the log.", "The log has the reason."),
    ("Stands", "The environment goes before the file.", "The environment overrides the file."),
    ("Tells", "The log tells the reason.", "The log names the reason."),
    ("Tells", "The client is told twice.", "The service returns the change twice."),
    ("Terms", "A request is under way.", "A request is in flight."),
    ("Terms", "The client asks again.", "The client retries."),
    ("ThatWhich", "Read that which remains.", "Read the rest."),
    ("ThatWhich", "Those who read wait.", "Readers wait."),
    ("WhatClauses", "What is on the list now stays there.", "The items stay on the list."),
    ("WhatClauses", "The size of what is in memory grows.", "The memory grows."),
    ("Whoever", "Whoever reads waits.", "Each reader waits."),
    ("Whoever", "The header names who asks for it.", "The header names the client."),
]


def alerts(folder: Path, text: str) -> set[str]:
    page = folder / "page.md"
    page.write_text(f"# Title\n\n{text}\n")
    command = [vale.path(), f"--config={ROOT / '.vale.ini'}", "--output=JSON", str(page)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(ended.stdout)
    return {each["Check"].removeprefix("MyList.") for each in found.get(str(page), []) if each["Severity"] == "error"}


@pytest.mark.parametrize(("rule", "bad", "good"), SENTENCES, ids=[f"{rule}-{bad[:30]}" for rule, bad, _ in SENTENCES])
def test_a_rule_refuses_the_bad_sentence_and_accepts_the_good_one(
    rule: str, bad: str, good: str, tmp_path: Path
) -> None:
    assert rule in alerts(tmp_path, bad)
    assert alerts(tmp_path, good) == set()


def test_every_rule_is_tested_with_a_bad_and_a_good_sentence() -> None:
    assert {rule for rule, _, _ in SENTENCES} == RULES


def test_the_linter_exits_with_1_for_a_bad_sentence() -> None:
    page = ROOT / "build" / "bad-sentence.md"
    page.write_text("Nobody may not tell it.\n")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "devtools.prose", page],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        page.unlink()
    assert ended.returncode == 1
    assert "MyList.MayNot" in ended.stdout
