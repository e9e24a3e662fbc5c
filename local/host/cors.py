"""Cross-origin requests, as the Functions core tools answer them: ``Host`` in ``local.settings.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.host.errors import HostStartError
from local.host.settings import read_json_object

ANY = "*"


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Which pages of other origins may read answers. Any method and any header is allowed to those."""

    origins: frozenset[str]
    credentials: bool = False
    """Whether they may send cookies and the like."""

    def headers_for(self, origin: str | None) -> list[tuple[str, str]]:
        """Return the headers of an answer to a page of ``origin``; none if it may not read it."""
        if origin is None or not (ANY in self.origins or origin in self.origins):
            return []
        headers = [("access-control-allow-origin", ANY if ANY in self.origins else origin)]
        if self.credentials:
            headers.append(("access-control-allow-credentials", "true"))
        if len(self.origins) > 1:
            headers.append(("vary", "Origin"))
        return headers

    def preflight(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the headers of an answer to a preflight request with ``headers``; none if it is refused."""
        allowed = self.headers_for(headers.get("origin"))
        if allowed:
            allowed.append(("access-control-allow-methods", headers["access-control-request-method"]))
            if asked := headers.get("access-control-request-headers"):
                allowed.append(("access-control-allow-headers", asked))
        return allowed


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a browser asks for permission; such a request never reaches a function."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def load_cors(app_dir: Path) -> CorsPolicy | None:
    """Read ``Host.CORS`` (origins, separated by commas) and ``Host.CORSCredentials``; None if there is none.

    Raises
    ------
    HostStartError
        A value cannot be used; the sentence names it.
    """
    path = app_dir / "local.settings.json"
    if not path.is_file():
        return None
    section = read_json_object(path).get("Host") or {}
    if not isinstance(section, dict):
        raise HostStartError(f"'Host' in {path} must be an object.")
    text, credentials = section.get("CORS") or "", section.get("CORSCredentials", False)
    if not isinstance(text, str):
        raise HostStartError(f"'Host.CORS' in {path} must be a text of origins, separated by commas.")
    if not isinstance(credentials, bool):
        raise HostStartError(
            f"'Host.CORSCredentials' in {path} is {credentials!r}; it must be true or false."
        )
    origins = frozenset(_origin(part.strip(), path) for part in text.split(",") if part.strip())
    if not origins:
        return None
    if ANY in origins and credentials:
        raise HostStartError(
            f"'Host.CORS' in {path} allows any origin (*) and 'Host.CORSCredentials' is true; "
            "browsers and the core tools do not take both: name the origins."
        )
    return CorsPolicy(origins, credentials)


def _origin(text: str, path: Path) -> str:
    """Bring an origin into the form that browsers send: scheme, host and port, in lower case."""
    if text == ANY:
        return text
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise HostStartError(f"'Host.CORS' in {path} has {text!r}; an origin is like https://example.com.")
    return f"{parts.scheme}://{parts.netloc}".lower()
