"""Keyed hashes of user ids: what stays of a person where their id may not.

The hash is HMAC-SHA-256 under a secret key. Without the key nobody can tell whose hash it is, not even by
hashing every known user id. Keys are replaced now and then: new hashes are made with the newest key, and a
key stays in the ring as long as anything was stored under a hash that was made with it.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from typing import NamedTuple, Self

KEY_BYTES = 32
"""Bytes of a key: as many as the hash has. Longer keys would add nothing."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyedHash(NamedTuple):
    """The hash of a user id, and the key that it was made with."""

    key_id: str
    digest: str
    """64 hexadecimal digits."""

    @property
    def name(self) -> str:
        """Both as one text, which may stand in ids, partition keys and names of blobs: ``2026a.1f03…``."""
        return f"{self.key_id}.{self.digest}"


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    secret: bytes = field(repr=False)

    def hash(self, user_id: str) -> KeyedHash:
        text = user_id.encode("utf-8", "surrogatepass")
        return KeyedHash(self.id, hmac.digest(self.secret, text, "sha256").hex())


class KeyRing:
    """The keys, newest first. At least one."""

    def __init__(self, keys: tuple[_Key, ...]) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.key_ids)})"

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys, newest first."""
        return [key.id for key in self._keys]

    def hash(self, user_id: str) -> KeyedHash:
        """Return the hash under the newest key: for everything that is stored from now on."""
        return self._keys[0].hash(user_id)

    def candidates(self, user_id: str) -> list[KeyedHash]:
        """Return the hash under every key, newest first: what may be stored of the person already."""
        return [key.hash(user_id) for key in self._keys]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2026a=<base64 of 32 bytes>,2025a=<…>``, newest first.

        Raises
        ------
        ValueError
            An entry is not of this form, or two have one id. The message quotes no key.
        """
        keys: dict[str, _Key] = {}
        for number, entry in enumerate(text.split(","), 1):
            key_id, _, encoded = entry.strip().partition("=")
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(
                    f"entry {number} does not begin with the id of a key and an equals sign, as in 2026a=…; "
                    "an id has 1 to 32 letters, digits, _ and -"
                )
            if key_id in keys:
                raise ValueError(f"two keys have the id {key_id}")
            keys[key_id] = _Key(key_id, _secret(number, encoded))
        return cls(tuple(keys.values()))


def _secret(number: int, encoded: str) -> bytes:
    # What looks like an id may be a key without one, so that only the entry's number is told.
    problem = (
        f"the key of entry {number} is not {KEY_BYTES} bytes in base64, "
        f"as `openssl rand -base64 {KEY_BYTES}` writes, behind an id and an equals sign"
    )
    try:
        secret = b64decode(encoded, validate=True)
    except (NotBase64, ValueError):
        raise ValueError(problem) from None
    if len(secret) != KEY_BYTES:
        raise ValueError(problem)
    return secret
