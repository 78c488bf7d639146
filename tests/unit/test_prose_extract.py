"""The prose that `make lint` finds in code keeps its line, and nothing else is found."""

from devtools.prose import extract

PYTHON = '''\
"""The first line.

The second paragraph.
"""

LIMIT = 1  # the reason of the limit
OTHER = 2  # noqa: ERA001
# Two lines
# of one comment.


def act(name: str) -> str:
    """Act.

    Raises:
        KeyError: it is not there.
        told, shown.*: the changes.
    """
    log.warning("The list of %s is %d items long", name, 3)
    key = f"a-key-{name}"
    raise KeyError(f"{name} is not the name of a list: " f"use {key!r} instead")
'''


def numbered(page: str) -> dict[int, str]:
    return {number: line for number, line in enumerate(page.splitlines(), 1) if line}


def test_docstrings_and_comments_keep_their_lines() -> None:
    assert numbered(extract.docstrings_and_comments(PYTHON)) == {
        1: "The first line.",
        3: "The second paragraph.",
        6: "- the reason of the limit",
        8: "Two lines",
        9: "of one comment.",
        13: "Act.",
        15: "Raises:",
        16: "- `KeyError`: it is not there.",
        17: "- `told, shown.*`: the changes.",
    }


def test_messages_keep_their_lines_and_hide_their_placeholders() -> None:
    assert numbered(extract.messages(PYTHON)) == {
        19: "- The list of `x` is `x` items long",
        21: "- `x` is not the name of a list: use `x` instead",
    }


def test_comments_of_yaml_and_shell_are_found() -> None:
    text = (
        "#!/bin/sh\n# A comment\n# of two lines.\nport: 3000  # -- The port.\n"
        'url: "http://#no comment"\n# shellcheck disable=SC2086\n'
    )
    assert numbered(extract.hash_comments(text)) == {2: "A comment", 3: "of two lines.", 4: "- The port."}


def test_a_comment_that_documents_a_value_becomes_a_list_item() -> None:
    assert extract.hash_comments("# -- The port.\n# -- The host.\n") == "- The port.\n- The host.\n"
