"""The socket side of HTTP: bound before anything is promised, stopped without losing what is in flight."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn

from local.host.errors import HostStartError
from local.host.trigger_http import HttpApp


class HttpServer:
    """Serves the host's HTTP application."""

    def __init__(self, app: HttpApp, host: str, port: int, drain_seconds: float) -> None:
        """Bind the port; :class:`HostStartError` if it cannot be had. Port 0 takes a free one."""
        self._socket = _bind(host, port)
        self.port = int(self._socket.getsockname()[1])
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
                server_header=False,
            )
        )

    async def serve(self) -> None:
        """Answer requests until :meth:`stop`; then end those in flight."""
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Take no further requests; :meth:`serve` returns when those in flight are answered."""
        self._server.should_exit = True

    def hurry(self) -> None:
        """Do not wait for requests in flight."""
        self._server.force_exit = True


class _Server(uvicorn.Server):
    """Serves without touching signal handlers: the host has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers alone."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ignored for the same reason."""


def _bind(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # from here on clients wait for the server rather than being refused
    except OSError as error:
        listening.close()
        raise HostStartError(f"The HTTP port {port} on {host} cannot be used: {error.strerror}.") from error
    return listening
