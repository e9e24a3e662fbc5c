"""TCP ports of this machine: which are free, and a clear word about one that is not."""

from __future__ import annotations

import socket

from local.processes import StackError

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str) -> None:
    """Refuse a port that somebody listens on; 0 stands for any port and is always free.

    Raises
    ------
    StackError
        The port is taken. Names ``option``, with which another one can be chosen.
    """
    if not port_is_free(port):
        raise StackError(f"Port {port} on {HOST} is taken: choose another one with {option}, 0 for any.")


def port_is_free(port: int) -> bool:
    """Say whether nobody listens on ``port`` at this moment."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still timing out counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
