from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import httpx

from stampcard.clock import Clock
from stampcard.errors import CallRefused
from stampcard.plugin.manifest import PluginSettings
from stampcard.plugin.passes import Passes

#: Opens a connected socket to a host and port that the settings name (`outbound_hosts`), its address checked; without TLS,
#: which whoever speaks the protocol begins. Raises CallRefused before anything left, OSError where nobody answers.
Dial = Callable[[str, int], Awaitable[socket.socket]]

S_co = TypeVar("S_co", bound=PluginSettings, covariant=True)


class Store(Protocol):
    """A few small secrets of a connection (tokens, say), sealed, shared by all processes."""

    async def get(self, key: str) -> bytes | None:
        """The stored value, or None."""

    async def set(self, key: str, value: bytes) -> None:
        """Store a value; returns once it is committed."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        """Let nobody else hold the key, in any process, until the block ends: what is in it may take half a minute.

        Whoever comes meanwhile waits as long, then gets a PluginError.
        """


async def closed_dial(host: str, port: int) -> socket.socket:
    """Leads nowhere; raises CallRefused."""
    raise CallRefused(f"{host}:{port}", "nothing is dialled here")


class NoPasses:
    """Knows no card."""

    async def find(self, serial: str) -> None:
        """None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionContext(Generic[S_co]):
    """All that a connection gets from the host.

    `http` and, for what is no HTTP, `dial` are the only ways to the network: they check addresses when connecting; `http` follows
    no redirect and caps answers.
    `passes` are the cards that the connection keeps, where it is a phone's wallet. `log` is a bound structlog logger. `public_url` is where the outside reaches this installation.
    """

    name: str
    settings: S_co
    http: httpx.AsyncClient
    clock: Clock
    log: Any
    store: Store
    public_url: str
    dial: Dial = closed_dial
    passes: Passes = field(default_factory=NoPasses)
