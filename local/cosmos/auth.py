"""Master-key authentication, as the service checks it."""

from __future__ import annotations

import base64
import hmac
import secrets
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from time import time
from urllib.parse import parse_qsl, unquote

from local.cosmos.errors import ServiceError

CLOCK_SKEW_SECONDS = 15 * 60
"""A signature is good for a quarter of an hour around its date."""


def load_or_create_key(path: Path) -> str:
    """Return the master key in ``path``; at first make one, readable by its owner alone."""
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    path.touch(mode=0o600)
    path.write_text(key, encoding="ascii")
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
        token = dict(parse_qsl(unquote(headers.get("authorization", "")).replace("+", "%2B")))
        date = headers.get("x-ms-date", "")
        if token.get("type") != "master" or not date:
            raise ServiceError(401, "Required Header authorization is missing. Ensure a valid key is passed.")
        text = f"{method.lower()}\n{resource_type}\n{link}\n{date.lower()}\n\n"
        expected = base64.b64encode(hmac.digest(self._key, text.encode(), sha256)).decode()
        if not hmac.compare_digest(expected.encode(), token.get("sig", "").encode()):
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


def _is_recent(date: str) -> bool:
    try:
        return abs(parsedate_to_datetime(date).timestamp() - time()) <= CLOCK_SKEW_SECONDS
    except ValueError:
        return False
