"""Run the server: storage, HTTP, expiry, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import uvicorn
import uvloop

from local.cosmos.app import App
from local.cosmos.auth import load_or_create_key
from local.cosmos.deadline import COMPUTING_SECONDS
from local.cosmos.logs import log, take_over_libraries
from local.cosmos.storage import Storage, StorageError
from local.cosmos.tls import KeyPair, load_or_create_key_pair
from local.interrupt import stopping_on_signals

PURGE_SECONDS = 1.0
"""How often expired items are removed. They are invisible from the moment they expire."""

FORGET_TURNS = 60
"""After so many turns the write-ahead log is emptied, and with it what was deleted in the last minute."""

BACKLOG = 2_048

GRACE_SECONDS = 5
"""What a request that is being answered has left when the server is told to stop."""

STOP_SECONDS = 3 * COMPUTING_SECONDS
"""What the server has left itself: a query may compute to its deadline before the signal is seen."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How to run the server.

    Attributes
    ----------
    port
        0 picks a free one.
    data_dir
        Holds the database file, the key and the certificate.
    partitions
        Physical partitions of a new container.
    tls
        Serve HTTPS with a certificate of the server's own.
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
    certificate: Path | None = None
    """What clients must trust; None without TLS."""

    @property
    def connection_string(self) -> str:
        """The connection string that clients take."""
        return f"AccountEndpoint={self.endpoint};AccountKey={self.key};"


class ConfigurationError(ValueError):
    """The server cannot run as it is asked to. One sentence."""


def run(config: ServerConfig, *, on_ready: Callable[[ServerInfo], None]) -> None:
    """Serve on an event loop of its own, the fast one: about a third more requests than asyncio's.

    Raises
    ------
    ConfigurationError
        As :func:`serve`.
    """
    take_over_libraries()
    uvloop.run(serve(config, on_ready=on_ready))


async def serve(config: ServerConfig, *, on_ready: Callable[[ServerInfo], None]) -> None:
    """Serve until cancelled, or until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        The port is taken, or an option is not supported.
    """
    if not 1 <= config.partitions <= 100:
        raise ConfigurationError(f"--partitions {config.partitions} is not between 1 and 100.")
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--data {config.data_dir} cannot be used: {error.strerror}.") from None
    with _only_server_of(config.data_dir), contextlib.closing(_listen(config)) as listener:
        await _serve(config, listener, on_ready)


async def _serve(
    config: ServerConfig, listener: socket.socket, on_ready: Callable[[ServerInfo], None]
) -> None:
    try:
        key = load_or_create_key(config.data_dir / "cosmos.key")
        pair = load_or_create_key_pair(config.data_dir) if config.tls else None
        storage = Storage(config.data_dir / "cosmos.sqlite3")
    except (OSError, ValueError, StorageError, sqlite3.DatabaseError) as error:
        raise ConfigurationError(f"--data {config.data_dir} cannot be used: {error}") from None
    port = listener.getsockname()[1]
    scheme = "https" if pair else "http"
    info = ServerInfo(
        f"{scheme}://{config.host}:{port}/", port, key, pair.certificate.resolve() if pair else None
    )
    try:
        app = App(storage, key=key, partitions=config.partitions, endpoint=lambda: info.endpoint)
        await _run(_http_server(app, pair), listener, storage, lambda: on_ready(info))
    finally:
        storage.close()


def _http_server(app: App, pair: KeyPair | None) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=BACKLOG,
            ssl_certfile=pair.certificate if pair else None,
            ssl_keyfile=pair.key if pair else None,
        )
    )


@contextlib.contextmanager
def _only_server_of(data_dir: Path) -> Iterator[None]:
    """Hold the directory: two servers on one file would give sequence numbers twice.

    The lock is the kernel's, so that a server that was killed does not hold it any longer.
    """
    with (data_dir / "cosmos.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"--data {data_dir} is in use by another database server: stop it, or give another directory."
            ) from None
        yield


def _listen(config: ServerConfig) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Head and body of an answer are two writes: without this the second waits for
    # the acknowledgement of the first, which clients delay by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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

    with stopping_on_signals(stop, within=STOP_SECONDS):
        ready()
        try:
            await asyncio.shield(serving)
        finally:
            stop()
            purging.cancel()
            await asyncio.gather(serving, purging, return_exceptions=True)


async def _purge(storage: Storage) -> None:
    for turn in count(1):
        await asyncio.sleep(PURGE_SECONDS)
        try:
            if turn % FORGET_TURNS == 0:
                storage.forget_log()
            more = True
            while more:  # a block at a time, so that requests are answered in between
                more = storage.purge_expired() > 0
                await asyncio.sleep(0)
        except sqlite3.Error:
            # Expired items stay invisible; a full disk or the like may have passed at the next attempt.
            log.exception("purge_failed")
