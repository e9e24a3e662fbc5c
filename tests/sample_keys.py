"""Keys of hashes that are no secret."""

from __future__ import annotations

from base64 import b64encode

OLD_HASH_KEY = f"old={b64encode(bytes(range(32))).decode()}"
HASH_KEYS = f"new={b64encode(bytes(range(32, 64))).decode()},{OLD_HASH_KEY}"
"""Two keys, so that what was stored under an older one is found in every test."""
