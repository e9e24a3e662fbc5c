"""What all tests have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

from tests.sample_keys import HASH_KEYS

os.environ.setdefault("FLEET_HASH_KEYS", HASH_KEYS)
"""Every fleet of a test has keys, those in processes of their own as well."""

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""How fast a machine is says nothing about the code. In a new clone the first text takes seconds, because
hypothesis then computes its tables of characters."""

typer.testing._get_command = cache(typer.main.get_command)
"""The tree of commands is built once. That takes 60 ms, a multiple of what most commands take in a test."""

PROCESSES = [
    Path(__file__).parent / name for name in ("acceptance", "integration/host", "integration/cosmos")
]
"""Folders of tests with limits in seconds, most of which start processes. They run after the others."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what ``make unit`` leaves to its other half."""
    within = any(folder in (collection_path, *collection_path.parents) for folder in PROCESSES)
    match config.getoption("markexpr"):
        case "not processes":
            return within or None
        case "processes":
            above = any(collection_path in folder.parents for folder in PROCESSES)
            return not (within or above) or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes: see ``make unit``."""
    for item in items:
        if any(folder in item.path.parents for folder in PROCESSES):
            item.add_marker("processes")


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo what a test configured: a command's log level would hide the events of later tests."""
    yield
    structlog.reset_defaults()
