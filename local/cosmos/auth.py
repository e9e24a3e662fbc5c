"""Master-key authentication, as the service checks it."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import time
from urllib.parse import quote, unquote

from local.cosmos.errors import ServiceError

CLOCK_SKEW_SECONDS = 15 * 60
"""A signature is good for a quarter of an hour around its date."""

KEY_BYTES = 64

_PREFIX = "type=master&ver=1.0&sig="
_ESCAPED_PREFIX = quote(_PREFIX)
_ESCAPES = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D"})


def load_or_create_key(path: Path) -> str:
    """Return the master key in ``path``; at first make one, readable by its owner alone.

    Raises
    ------
    ValueError
        What is there is no key.
    """
    if not path.exists():
        # Under its name only when it is complete: an empty key would let anybody in.
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
        draft.replace(path)
    key = path.read_text(encoding="ascii").strip()
    if len(base64.b64decode(key, validate=True)) != KEY_BYTES:
        raise ValueError(f"{path} does not hold {KEY_BYTES} bytes in base64: remove it to get a new key.")
    return key


class Authenticator:
    """Checks the signature of requests against one key."""

    def __init__(self, key: str) -> None:
        self._key_text = key
        self._key = base64.b64decode(key)

    def check(self, method: str, resource_type: str, link: str, headers: dict[str, str]) -> None:
        """Check a request.

        Parameters
        ----------
        resource_type, link
            What the path names: ``docs`` and ``dbs/a/colls/b`` for a request to the items of a container.

        Raises
        ------
        ServiceError
            401: no signature, a wrong one, or one of another day.
        """
        token = headers.get("authorization", "")
        date = headers.get("x-ms-date", "")
        if not date or not (token.startswith(_ESCAPED_PREFIX) or unquote(token).startswith(_PREFIX)):
            raise ServiceError(
                401,
                "Required Header authorization is missing, or not one of a master key. "
                "Ensure a valid key is passed.",
            )
        text = f"{method.lower()}\n{resource_type}\n{link}\n{date.lower()}\n\n"
        expected = base64.b64encode(hmac.digest(self._key, text.encode(), sha256)).decode()
        if not _is_signature(token, expected):
            raise ServiceError(
                401,
                "The input authorization token can't serve the request. The wrong key is being used or the "
                "expected payload is not built as per the protocol.",
            )
        if not _is_recent(date):
            raise ServiceError(403, "The authorization token is not valid at the current time.")

    def check_local(self, headers: dict[str, str]) -> None:
        """Check a request to the admin surface, which carries the key itself in ``x-local-key``."""
        if not hmac.compare_digest(self._key_text.encode(), headers.get("x-local-key", "").encode()):
            raise ServiceError(401, "The header x-local-key must carry the master key.")


def _is_signature(token: str, expected: str) -> bool:
    """Compare a token with the signature it must have; first as the SDKs write it, which spares decoding."""
    escaped = _ESCAPED_PREFIX + expected.translate(_ESCAPES)
    if hmac.compare_digest(escaped.encode(), token.encode()):
        return True
    return hmac.compare_digest((_PREFIX + expected).encode(), unquote(token).encode())


def _is_recent(date: str) -> bool:
    signed = _timestamp(date)
    return signed is not None and abs(signed - time()) <= CLOCK_SKEW_SECONDS


@lru_cache(maxsize=64)
def _timestamp(date: str) -> float | None:
    """Return the time of a date, None if it is none; clients send the same one for a whole second."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
