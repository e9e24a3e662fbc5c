"""What all tests have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.sample_keys import HASH_KEYS

os.environ.setdefault("FLEET_HASH_KEYS", HASH_KEYS)
"""Every fleet of a test has keys, those in processes of their own as well."""

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""How fast a machine is says nothing about the code. In a new clone the first text takes seconds, because
hypothesis then computes its tables of characters."""


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo what a test configured: a command's log level would hide the events of later tests."""
    yield
    structlog.reset_defaults()
