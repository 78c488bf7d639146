"""What is written by a program in README.md, .env.example and charts/mylist, from what it describes.

`python -m devtools.documents` writes all of it; the tests compare.
"""

from pathlib import Path

from devtools import chart_documents
from mylist.settings import explain

ROOT = Path(__file__).parents[1]
COMMAND = ".venv/bin/python -m devtools.documents"
README = ROOT / "README.md"
ENV_EXAMPLE = ROOT / ".env.example"
_START = f"<!-- configuration: made by {COMMAND} -->\n"
_END = "<!-- end of configuration -->"


def readme() -> str:
    """Return README.md with its table of settings written anew.

    Raises:
        ValueError: it has no place for the table.
    """
    before, start, rest = README.read_text().partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        raise ValueError(f"{README} lacks {_START.strip()} or {_END}")
    return before + start + _settings_table() + end + after


def env_example() -> str:
    """Return what .env.example must hold."""
    lines = [
        "# Every setting of the service with its default. To change one, copy this file to .env and take the # off",
        "# the setting's line; what the environment holds goes before .env.",
        f"# Made by: {COMMAND}",
    ]
    for each in explain():
        lines += ["", f"# {each.meaning}", f"# Accepts {each.accepts}.", f"#{each.variable}={each.default}".rstrip()]
    lines += [
        "",
        "# --- `make up` only. Its MongoDB and Redis are made with MONGODB_USER, MONGODB_PASSWORD and REDIS_PASSWORD",
        "# as set above, or with mylist, development and development; MongoDB keeps those of its first start. The",
        "# password of its administrator, which the service does not get:",
        "#MONGODB_ROOT_PASSWORD=development",
    ]
    return "\n".join(lines) + "\n"


def _settings_table() -> str:
    rows = ["| Variable | Default | Meaning | Accepts |", "| --- | --- | --- | --- |"]
    for setting in explain():
        default = f"`{setting.default}`" if setting.default else ""
        accepts = setting.accepts.replace("|", "\\|")
        rows.append(f"| `{setting.variable}` | {default} | {setting.meaning} | {accepts} |")
    return "\n".join(["", *rows, "", ""])


def main() -> None:
    """Write all of it."""
    README.write_text(readme())
    ENV_EXAMPLE.write_text(env_example())
    chart_documents.write()


if __name__ == "__main__":
    main()
