"""Run the server: storage, HTTP, expiry, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from local.cosmos.app import App
from local.cosmos.auth import load_or_create_key
from local.cosmos.storage import Storage

PURGE_SECONDS = 1.0
"""How often expired items are removed. They are invisible from the moment they expire."""

BACKLOG = 2_048


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How to run the server.

    Attributes
    ----------
    port
        0 picks a free one.
    data_dir
        Holds the database file and the key.
    partitions
        Physical partitions of a new container.
    """

    port: int
    data_dir: Path
    partitions: int = 2
    tls: bool = False
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Where the server listens, and its key."""

    endpoint: str
    port: int
    key: str

    @property
    def connection_string(self) -> str:
        """The connection string that clients take."""
        return f"AccountEndpoint={self.endpoint};AccountKey={self.key};"


class ConfigurationError(ValueError):
    """The server cannot run as it is asked to. One sentence."""


async def serve(config: ServerConfig, *, on_ready: Callable[[ServerInfo], None]) -> None:
    """Serve until cancelled, or until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        The port is taken, or an option is not supported.
    """
    if config.tls:
        raise ConfigurationError("--tls is not supported by the local server yet: leave it out.")
    if not 1 <= config.partitions <= 100:
        raise ConfigurationError(f"--partitions {config.partitions} is not between 1 and 100.")
    config.data_dir.mkdir(parents=True, exist_ok=True)
    key = load_or_create_key(config.data_dir / "cosmos.key")
    listener = _listen(config)
    port = listener.getsockname()[1]
    info = ServerInfo(f"http://{config.host}:{port}/", port, key)
    storage = Storage(config.data_dir / "cosmos.sqlite3")
    try:
        app = App(storage, key=key, partitions=config.partitions, endpoint=lambda: info.endpoint)
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_keep_alive=120,
                backlog=BACKLOG,
            )
        )
        await _run(server, listener, storage, lambda: on_ready(info))
    finally:
        storage.close()
        listener.close()


def _listen(config: ServerConfig) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"--port {config.port} cannot be used: {error.strerror}.") from None
    listener.listen(BACKLOG)
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to :func:`serve`, which ends without raising them again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(
    server: uvicorn.Server, listener: socket.socket, storage: Storage, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve([listener]))
    purging = loop.create_task(_purge(storage))

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    ready()
    try:
        await asyncio.shield(serving)
    finally:
        stop()
        purging.cancel()
        await asyncio.gather(serving, purging, return_exceptions=True)


async def _purge(storage: Storage) -> None:
    while True:
        await asyncio.sleep(PURGE_SECONDS)
        more = True
        while more:  # a block at a time, so that requests are answered in between
            more = storage.purge_expired() > 0
            await asyncio.sleep(0)
