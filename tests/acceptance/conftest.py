"""Nothing that one test sets up in this process reaches the next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from shared.settings import current_settings


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    # Measuring lag and running a host in this process read their settings from the environment.
    with patch.dict(os.environ):
        current_settings.cache_clear()
        yield
    current_settings.cache_clear()
