"""Terminal output: results to standard output, notes on the way there to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 130
"""Columns in a pipe or a log file: wide enough that no table of ours folds a cell."""


def output() -> Console:
    """Return a console on standard output, for results."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)


def notes() -> Console:
    """Return a console on standard error, for progress."""
    width = None if sys.stderr.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=True, highlight=False, width=width)
