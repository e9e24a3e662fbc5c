"""The keys of HTTP functions: generated once per stack, kept in a file only its owner can read."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.host.bindings import AuthLevel
from local.host.errors import HostStartError
from local.host.settings import read_json_object

DURABLE_KEY = "durabletask_extension"
"""The name that the platform gives the key of the Durable Functions extension."""
KEY_BYTES = 40
"""Random bytes of a key; the platform's own keys have as many."""


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The master key, which opens everything, and the host's function key, which opens level "function"."""

    master: str = field(repr=False)
    function: str = field(repr=False)
    durable: str = field(repr=False)
    """The extension's own key, which opens the management of orchestrations and nothing else."""

    def allows(self, level: AuthLevel, presented: str | None) -> bool:
        """Say whether a presented key opens a level. Comparisons take the same time whatever is presented."""
        if level == "anonymous":
            return True
        given = (presented or "").encode()
        is_master = hmac.compare_digest(given, self.master.encode())
        is_function = hmac.compare_digest(given, self.function.encode())
        return is_master or (level == "function" and is_function)


def load_or_create_keys(path: Path) -> HostKeys:
    """Read the keys, or generate them if the file does not exist.

    Several hosts may start at the same time: the file appears complete or not at all, and all use the one
    that was there first.

    Raises
    ------
    HostStartError
        The file cannot be read or written, or does not hold all keys.
    """
    if not path.exists():
        _create(path)
    try:
        _complete(path)
    except OSError as error:
        raise HostStartError(f"The keys file {path} cannot be written: {error.strerror}.") from error
    document = read_json_object(path)
    keys = {
        "masterKey": document.get("masterKey"),
        "functionKeys.default": _inner(document, "functionKeys", "default"),
        f"systemKeys.{DURABLE_KEY}": _inner(document, "systemKeys", DURABLE_KEY),
    }
    for name, key in keys.items():
        if not isinstance(key, str) or not key:
            raise HostStartError(f"{path} must hold '{name}'; delete the file to have new keys made.")
    return HostKeys(*keys.values())


def _inner(document: Mapping[str, Any], section: str, name: str) -> Any:
    keys = document.get(section)
    return keys.get(name) if isinstance(keys, dict) else None


def _complete(path: Path) -> None:
    """Add the system key to a file of an earlier release; several hosts may do so at the same time."""
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            document = json.load(file)
        except ValueError:
            return  # said by the reader
        if not isinstance(document, dict) or "systemKeys" in document:
            return
        document["systemKeys"] = {DURABLE_KEY: secrets.token_urlsafe(KEY_BYTES)}
        file.seek(0)
        file.write(json.dumps(document, indent=2))
        file.truncate()


def _create(path: Path) -> None:
    keys = {
        "masterKey": secrets.token_urlsafe(KEY_BYTES),
        "functionKeys": {"default": secrets.token_urlsafe(KEY_BYTES)},
        "systemKeys": {DURABLE_KEY: secrets.token_urlsafe(KEY_BYTES)},
    }
    draft = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(keys, file, indent=2)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another host was first; its keys are read
        finally:
            draft.unlink()
    except OSError as error:
        raise HostStartError(f"The keys file {path} cannot be written: {error.strerror}.") from error
