"""Arguments that are more than words and numbers."""

from __future__ import annotations

from datetime import date

import typer


def day(text: str | date) -> date:
    """Return a day written as ``2026-11-28``.

    Raises
    ------
    typer.BadParameter
        The text is none.
    """
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("is not a day: 2026-11-28") from None
