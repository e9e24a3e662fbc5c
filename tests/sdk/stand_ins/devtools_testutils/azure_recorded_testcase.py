"""Credentials for Microsoft Entra ID."""

from __future__ import annotations

from typing import Any


def get_credential(**_options: Any) -> None:
    """Return none: the local server knows the master key alone."""
