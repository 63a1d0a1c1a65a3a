"""Ports for servers that a test starts, and may stop and start again."""

from socket import SO_REUSEADDR, SOL_SOCKET, socket


def kept_port() -> tuple[socket, int]:
    """Return a free port, and a socket that never listens: until it is closed nobody else is given that port."""
    kept = socket()
    kept.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)  # as the servers' own do, which may be bound beside it
    kept.bind(("127.0.0.1", 0))
    return kept, kept.getsockname()[1]
