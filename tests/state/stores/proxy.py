"""What can befall a connection on its way: a proxy that refuses, cuts, delays, and drops the answer of a write."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Proxy:
    """Forwards everything, except what ``befalls`` it; a test may change that at any time."""

    port: int
    words: bytes
    """What a request holds that something can befall."""
    befalls: list[str] = field(default_factory=list)
    """Of the next such: ``cut`` before it comes, the answer ``lost``, ``silent`` for ever, or it comes ``late``."""
    latency: float = 0.0
    """Seconds that each request takes longer."""
    is_closed: bool = False
    """Whether it hangs up on everybody."""
    release: threading.Event = field(default_factory=threading.Event)
    """Releases what is late."""
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set when what was late has been answered."""


@contextmanager
def proxy_to(host: str, port: int, words: bytes, latency: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy to a server for the length of a ``with``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Proxy(listener.getsockname()[1], words, latency=latency)
        ended = threading.Event()

        def accept() -> None:
            while True:
                client, _ = listener.accept()
                if ended.is_set() or made.is_closed:
                    client.close()
                    if ended.is_set():
                        return
                    continue
                server = socket.create_connection((host, port))
                threading.Thread(target=_pass_on, args=(made, client, server), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield made
        finally:
            made.release.set()
            ended.set()
            # It wakes up by one more.
            socket.create_connection(("127.0.0.1", made.port)).close()
            accepting.join()


def _pass_on(proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
    with client, server, suppress(OSError):
        is_silent, is_answered = False, True
        while True:
            for ready in select.select([client, server], [], [])[0]:
                if not (data := ready.recv(_CHUNK)):
                    return
                if ready is server:
                    is_answered = True
                    if not is_silent:
                        client.sendall(data)
                    continue
                if is_answered and proxy.latency:
                    time.sleep(proxy.latency)
                is_answered = False
                befalls = proxy.befalls.pop(0) if proxy.befalls and proxy.words in data else ""
                if befalls == "cut":
                    return
                if befalls == "late":
                    proxy.release.wait()
                server.sendall(data)
                if befalls in {"lost", "late"}:
                    server.recv(_CHUNK)
                    proxy.arrived.set()
                    return
                is_silent = is_silent or befalls == "silent"
