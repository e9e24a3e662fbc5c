"""What all tests have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""How fast a machine is says nothing about the code. In a new clone the first text takes seconds, because
hypothesis then computes its tables of characters."""


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo what a test configured: a command's log level would hide the events of later tests."""
    yield
    structlog.reset_defaults()
