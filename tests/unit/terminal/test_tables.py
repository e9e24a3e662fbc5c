"""Tables at every width: nothing is cut, ids are whole, and nothing but printable text is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from terminal.tables import Table, detail, number, whole
from terminal.text import printable
from tests.unit.terminal.hostile import ids, texts, unsafe

WIDTHS = st.sampled_from([40, 80, 120, 200, None])
ROWS = st.lists(st.tuples(ids, texts, st.integers(0, 10**9), texts), min_size=1, max_size=5)


def table(rows: list[tuple[str, str, int, str]]) -> Table:
    made = Table(whole("id"), "name", number("count"), detail("why"), title="Rows")
    for row in rows:
        made.add(*row)
    return made


@given(texts, texts, WIDTHS)
def test_title_and_headings_are_printable_too(title: str, heading: str, width: int | None) -> None:
    made = Table(whole(heading), detail(title), title=title)
    made.add(1, heading)
    assert unsafe("\n".join(made.lines(width))) == set()


def letters(text: str) -> str:
    return "".join(text.split())


@given(ROWS, WIDTHS)
def test_a_table_loses_nothing_and_holds_printable_text_only(
    rows: list[tuple[str, str, int, str]], width: int | None
) -> None:
    lines = table(rows).lines(width)
    assert unsafe("\n".join(lines)) == set()
    for row_id, name, count, why in rows:
        assert any(row_id in line for line in lines)
        assert any(f"{count:,}" in line for line in lines)
        if width is None:
            assert any(printable(name) in line and printable(why).rstrip() in line for line in lines)


@given(ROWS, st.sampled_from([60, 80, 120]))
def test_no_line_is_wider_than_the_terminal_except_for_an_id_that_is(
    rows: list[tuple[str, str, int, str]], width: int
) -> None:
    longest = max(len(row[0]) for row in rows)
    for line in table(rows).lines(width):
        assert cell_len(line) <= max(width, longest + 16)
        assert cell_len(line) <= width or any(row[0] in line for row in rows)


@given(ROWS, WIDTHS)
def test_all_letters_of_a_text_are_there_in_their_order(
    rows: list[tuple[str, str, int, str]], width: int | None
) -> None:
    for row in rows:
        lines = table([row]).lines(width)
        if len(lines) == 4 and width:  # title, headings, rule, one line
            assert letters(printable(row[3])) in letters(lines[-1])


def test_a_table_that_fits_has_one_line_per_row() -> None:
    assert table([("a", "b", 1000, "c")]).lines(80) == [
        "Rows",
        "id  name  count  why",
        "──  ────  ─────  ───",
        "a   b     1,000  c",
    ]


def test_in_a_pipe_there_is_one_line_per_row_of_any_length() -> None:
    lines = table([("i" * 300, "n" * 300, 1, "w" * 300)]).lines(None)
    assert lines[-1].split() == ["i" * 300, "n" * 300, "1", "w" * 300]
    assert len(lines) == 3


def test_details_go_below_their_row_where_there_is_no_room() -> None:
    assert table([("i" * 20, "name", 1, "why " * 10)]).lines(40) == [
        "Rows",
        "id                    name  count",
        "  why",
        "────────────────────  ────  ─────",
        "iiiiiiiiiiiiiiiiiiii  name      1",
        "  why why why why why why why why why",
        "  why",
    ]


def test_details_share_a_line_where_they_fit_and_an_id_among_them_stays_whole() -> None:
    made = Table(whole("id"), whole("first", detail=True), whole("second", detail=True), detail("why"))
    made.add("i" * 30, "a" * 10, "b" * 40, "some words that are longer than the line")
    assert made.lines(40)[-5:] == [
        "i" * 30,
        "  " + "a" * 10,
        "  " + "b" * 40,
        "  some words that are longer than the",
        "  line",
    ]


def test_texts_are_wrapped_where_ids_need_the_room() -> None:
    lines = table([("i" * 20, "a name of many words", 1, "")]).lines(45)
    assert lines[4:] == ["iiiiiiiiiiiiiiiiiiii  a name of many        1", "                      words"]


def test_without_room_for_a_row_each_value_has_its_line() -> None:
    lines = table([("i" * 38, "a name", 1, "why")]).lines(40)
    assert lines == ["Rows", "", "id     " + "i" * 38, "name   a name", "count  1", "why    why"]


def test_cells_are_written_as_people_read_them() -> None:
    made = Table("a", "b", "c", "d")
    made.add(None, True, False, 1234567)
    assert made.lines(None)[-1].split() == ["–", "yes", "no", "1,234,567"]


def test_a_row_with_a_cell_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells for 1 columns"):
        Table("a").add(1, 2)
