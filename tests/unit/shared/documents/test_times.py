"""Every spelling of a time in the grammar is read as its moment; every other text is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.times import parse_time
from tests.independent import input as independent

MOMENTS = st.datetimes(datetime(2000, 1, 3), datetime(2099, 12, 29))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, datetime]:
    """A time as a program may write it, and the moment that it means."""
    moment, minutes = draw(MOMENTS), draw(OFFSETS)
    precision = draw(st.sampled_from(["date", "minutes", "seconds", "fraction"]))
    if precision == "date":
        return f"{moment:%Y-%m-%d}", datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    digits = draw(st.integers(1, 9)) if precision == "fraction" else 0
    seconds = moment.second if precision != "minutes" else 0
    fraction = f"{moment.microsecond:06d}{draw(st.integers(0, 999)):03d}"[:digits]
    micros = int(fraction[:6].ljust(6, "0")) if digits else 0
    form = draw(st.sampled_from(["", "Z", "z", "+hh:mm", "+hhmm", "+hh"]))
    if not form.startswith("+"):
        minutes = 0
    elif form == "+hh":
        minutes = int(minutes / 60) * 60
    hours, rest = divmod(abs(minutes), 60)
    colon = ":" if form == "+hh:mm" else ""
    zone = f"{'-' if minutes < 0 else '+'}{hours:02d}" + ("" if form == "+hh" else f"{colon}{rest:02d}")
    clock = f"{moment:%H:%M}" + ("" if precision == "minutes" else f":{seconds:02d}")
    sign = draw(st.sampled_from(".,")) if digits else ""
    text = f"{moment:%Y-%m-%d}{draw(st.sampled_from('Tt '))}{clock}{sign}{fraction}"
    meant = moment.replace(second=seconds, microsecond=micros, tzinfo=timezone(timedelta(minutes=minutes)))
    return text + (zone if form.startswith("+") else form), meant


@given(spellings())
def test_every_spelling_is_read_as_the_moment_that_it_means(spelling: tuple[str, datetime]) -> None:
    text, meant = spelling
    assert parse_time(text) == meant == independent.time_of(text)
    assert parse_time(text).utcoffset() is not None


@settings(max_examples=1_000)
@given(spellings(), st.data())
def test_a_text_that_is_nearly_a_time_is_read_as_the_page_says(
    spelling: tuple[str, datetime], data: st.DataObject
) -> None:
    text = spelling[0]
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text("0123456789TtZzXW:.,+- \n٣", max_size=3))
    changed = text[:at] + put + text[at + cut :]
    expected = independent.time_of(changed)
    if expected is not None and 2000 <= expected.year < 2100:
        assert parse_time(changed) == expected
        return
    with pytest.raises(ValueError, match=r"^must be "):
        parse_time(changed)
