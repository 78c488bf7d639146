"""How the command-line client writes text and tables."""

import pytest

from mylist.client.terminal import plain, table


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("Amélie “1”", "Amélie “1”"),
        ("a\tb\r\nc", "a�b��c"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x9b2J\x7f\x00", "�2J��"),
        ("no\u00a0break\u2028line", "no break line"),
        ("\u202eesrever\u2066", "esrever"),
        ("half \ud83d", "half �"),
    ],
)
def test_plain_text_is_one_line_without_control_characters(given: str, written: str) -> None:
    assert plain(given) == written
    assert plain(given).isprintable()


def test_table_columns_are_aligned_for_wide_and_combining_characters() -> None:
    rows = [("ID", "TITLE", "N"), ("1", "七人の侍", "a"), ("22", "Ame\u0301lie", "b"), ("3", "\x07", "c")]
    assert table(rows).splitlines() == [
        "ID  TITLE     N",
        "1   七人の侍  a",
        "22  Ame\u0301lie    b",
        "3   �         c",
    ]


@pytest.mark.parametrize(
    ("width", "title"),
    [
        (None, "Seven 七人の侍"),
        (18, "Seven 七人の侍"),
        (17, "Seven 七人の…"),
        (16, "Seven 七人…"),
        (15, "Seven 七人…"),
        (12, "Seven …"),
        (1, "Seven …"),
    ],
)
def test_the_last_column_is_cut_to_the_width(width: int | None, title: str) -> None:
    [_, line] = table([("ID", "TITLE"), ("1", "Seven 七人の侍")], width=width).splitlines()
    assert line == f"1   {title}"


def test_trailing_blanks_are_removed() -> None:
    assert table([("ID", "TITLE"), ("1", "")]) == "ID  TITLE\n1"
