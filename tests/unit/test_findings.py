"""The index of findings: a row for each script, with the software that the script names and installs."""

import re
from datetime import date
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
_ROW = re.compile(r"^\| \[`([a-z0-9-]+)`\]\(([^)]+)\) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROWS = {found[1]: found for found in _ROW.finditer((FOLDER / "README.md").read_text())}

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda each: each.stem)


def header(script: Path) -> tuple[str, str]:
    """Return the software that a script names, and the text below that."""
    found = re.search(r"^# Software: +(.+(?:\n#            .+)*)\n((?s:.*))\Z", script.read_text(), re.MULTILINE)
    assert found, f"{script.name} does not name its software"
    software, body = found.groups()
    return re.sub(r"\n# +", " ", software), body


def test_the_index_has_each_script_and_no_other() -> None:
    assert sorted(ROWS) == [script.stem for script in SCRIPTS]
    assert {name: row[2] for name, row in ROWS.items()} == {name: f"{name}.sh" for name in ROWS}


@each_script
def test_the_index_has_the_software_and_the_date_of_each_script(script: Path) -> None:
    software, since = ROWS[script.stem].group(3, 4)
    assert software == header(script)[0]
    assert date.fromisoformat(since)


@each_script
def test_a_script_installs_the_versions_that_it_names(script: Path) -> None:
    software, body = header(script)
    versions = re.findall(r"\d+\.\d+\.\d+[a-z0-9.]*", software)
    assert versions
    assert [each for each in versions if each not in body] == []
