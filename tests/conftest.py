"""What all tests have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo what a test configured: a command's log level would hide the events of later tests."""
    yield
    structlog.reset_defaults()
