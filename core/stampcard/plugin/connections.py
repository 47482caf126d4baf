from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import httpx

from stampcard.clock import Clock
from stampcard.plugin.manifest import PluginSettings

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionContext(Generic[S_co]):
    """All that a connection gets from the host.

    `http` is the only way to the network: it checks addresses when connecting, follows no redirect and caps answers.
    `log` is a bound structlog logger. `public_url` is where the outside reaches this installation.
    """

    name: str
    settings: S_co
    http: httpx.AsyncClient
    clock: Clock
    log: Any
    store: Store
    public_url: str
