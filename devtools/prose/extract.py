"""The prose inside code, as Markdown: messages, docstrings and comments, each on the line that it has in its file."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import pairwise

_WORDS = re.compile(r"[A-Za-z][\w'-]*[,;:]? +[a-z][\w'-]* +\S")
"""A string is a message from three words on; the others are names, patterns and keys."""
_NO_PROSE = re.compile(r"[!/:]|noqa\b|type:|pragma\b|shellcheck\b|hadolint\b|yamllint\b|language=|fmt:|syntax=")
"""Comments for programs."""
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+ 0#]*\d*(?:\.\d+)?[sdrfgix]|\{\w*\}")
_ENTRY = re.compile(r"\s*[\w.*, ]{1,40}: \S")
"""A line of the sections Args, Returns and Raises."""
_NAMES = re.compile(r"^[\w*.]+(?:, [\w*.]+)*(?=: )")
"""The names that such a line is about: code, and not prose."""


def messages(source: str) -> str:
    """Return the messages of a Python file, each as an item of a list."""
    found: dict[int, str] = {}
    tree = ast.parse(source)
    apart = {id(node) for parent in ast.walk(tree) for node in _not_messages(parent)}
    for node in ast.walk(tree):
        if id(node) in apart or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text = _text(node)
        if text and _WORDS.search(text):
            found[node.lineno] = f"{found[node.lineno]} / {text}" if node.lineno in found else f"- {text}"
    return _lines(found)


def docstrings_and_comments(source: str) -> str:
    """Return the docstrings and comments of a Python file."""
    found = _comments(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number, line in enumerate(node.value.value.splitlines(), node.lineno):
                is_entry = line.startswith("    ") and _ENTRY.match(line)
                found[number] = "- " + _NAMES.sub(r"`\g<0>`", line.strip()) if is_entry else line.strip()
    return _lines(found)


def hash_comments(source: str) -> str:
    """Return the comments of a file in which `#` begins one: YAML, shell, Make, Dockerfile."""
    found: dict[int, str] = {}
    for number, line in enumerate(source.splitlines(), 1):
        if match := re.match(r"(.*?)(?:^|(?<=\s))#+(?: -- | )(.+)$", line):
            before, text = match.groups()
            if not _NO_PROSE.match(text) and before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
                found[number] = f"- {text.strip()}" if before.strip() or " # -- " in f" {line}" else text.strip()
    return _lines(found)


def _not_messages(parent: ast.AST) -> Iterator[ast.AST]:
    """Yield the strings in a node that are not messages: docstrings, and the parts of a formatted string."""
    if isinstance(parent, ast.Expr):
        yield parent.value
    elif isinstance(parent, ast.JoinedStr):
        yield from (node for part in parent.values for node in ast.walk(part))


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
    else:
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "`x`" for part in node.values)
    return _PLACEHOLDER.sub("`x`", " ".join(text.split()))


def _comments(source: str) -> dict[int, str]:
    found = {}
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and text and not _NO_PROSE.match(text):
            number, column = token.start
            found[number] = f"- {text}" if lines[number - 1][:column].strip() else text
    return found


def _lines(found: dict[int, str]) -> str:
    """Return a page with each text on its line, so that a finding has the line of the file."""
    page = []
    for before, number in pairwise([0, *sorted(found)]):
        page += [""] * (number - before - 1) + [found[number]]
    return "\n".join(page) + "\n"
