"""The key under which a stack hashes ids of people: generated once per data directory, for its owner only."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from pathlib import Path

from shared.privacy.keyring import KEY_BYTES


def new_hash_keys() -> str:
    """Return a key as the setting ``FLEET_HASH_KEYS`` has it."""
    return f"local={b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def load_or_create_hash_keys(path: Path) -> str:
    """Return the setting that a file holds. Write a new one first if there is no file.

    Without the key, tombstones that the data has would be of nobody. So the file is written whole or not at
    all, and never again. The caller is the only one who works with the directory.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_hash_keys())
        draft.replace(path)
    return path.read_text().strip()
