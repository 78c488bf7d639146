"""Expectations in the code blocks of a document: a wrong status, number of statuses or word is noticed."""

import pytest

from tests.markdown import Block, ExpectationError, blocks

ONE = "curl http://a/\n"
TWO = "# curl, twice\ncurl -X POST \\\n  http://a/\nx=$(curl http://b/)\n"


def test_a_block_has_its_language_text_and_expected_statuses() -> None:
    document = f"```bash\n{ONE}```\n\n```bash expect=200,304\n{TWO}```\n\n```json\n{{}}\n```\n\n```\nplain\n```\n"

    assert blocks(document) == [
        Block("bash", ONE),
        Block("bash", TWO, (200, 304)),
        Block("json", "{}\n"),
        Block("", "plain\n"),
    ]


def test_a_block_in_a_list_loses_its_indentation() -> None:
    assert blocks(f"1. Ask:\n\n   ```bash\n   {ONE}     -v\n   ```\n") == [Block("bash", f"{ONE}  -v\n")]


def test_a_block_may_show_its_output() -> None:
    [block, output] = blocks("```bash expect=output\nmylist list\n```\n\n```text\nno items\n```\n")

    assert block.shows_output
    assert block.accepts([])
    assert output == Block("text", "no items\n")


@pytest.mark.parametrize(
    ("info", "statuses", "accepted"),
    [
        ("bash", [200, 204], True),
        ("bash", [200, 404], False),
        ("bash", [200, 304], False),
        ("bash", [200], False),
        ("bash", [200, 200, 200], False),
        ("bash expect=200,404", [200, 404], True),
        ("bash expect=200,404", [200, 200], False),
        ("bash expect=200,404", [404, 200], False),
        ("bash expect=200,404", [200], False),
        ("bash expect=200,404", [200, 404, 404], False),
    ],
)
def test_a_block_accepts_only_the_expected_statuses(info: str, statuses: list[int], *, accepted: bool) -> None:
    [block] = blocks(f"```{info}\n{TWO}```\n")

    assert block.accepts(statuses) is accepted


@pytest.mark.parametrize(
    "info",
    [
        "bash status=201",
        "bash expect",
        "bash expect=",
        "bash expect=2xx",
        "bash expect=200, 201",
        "json expect=200",
        "json expect=output",
    ],
)
def test_an_expectation_that_cannot_be_parsed_is_refused(info: str) -> None:
    with pytest.raises(ExpectationError, match="expect=STATUS"):
        blocks(f"```{info}\n{ONE}```\n")
