"""The way out for what is no HTTP: a socket whose address is checked before it is opened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from stampcard.errors import CallRefused
from stampcard.host.addresses import OutboundRules, outbound_rules
from stampcard.plugin.connections import Dial

#: Seconds that opening a socket may take.
CONNECTING = 10.0


def guarded_dial(allowed: Sequence[str], named: Sequence[str]) -> Dial:
    """Opens sockets to the hosts and ports that a connection names, and what `allowed` adds."""
    rules = outbound_rules(allowed, named)

    async def dial(host: str, port: int) -> socket.socket:
        reason = rules.refusal_of(host, port)
        if reason:
            raise CallRefused(f"{host}:{port}", reason)
        try:
            async with asyncio.timeout(CONNECTING) as limit:
                return await _opened(rules, host, port, limit.when() or 0.0)
        except TimeoutError:
            raise ConnectionError(f"{host}:{port} did not answer within {CONNECTING:g} seconds") from None

    return dial


async def _opened(rules: OutboundRules, host: str, port: int, ends: float) -> socket.socket:
    """The first of a name's addresses that answers, of those that may be reached; each has its share of the time until `ends`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    reachable = [one for one in found if rules.reachable(host, port, str(one[4][0]).partition("%")[0])]
    if not reachable:
        reason = "its name stands for an address that is not public; see [security] outbound_allow"
        raise CallRefused(f"{host}:{port}", reason)
    trouble: OSError = OSError(f"nobody answers at {host}:{port}")
    for left, (family, kind, protocol, _, address) in zip(range(len(reachable), 0, -1), reachable, strict=True):
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        try:
            async with asyncio.timeout((ends - loop.time()) / left):
                await loop.sock_connect(opened, address)
        except OSError as error:
            opened.close()
            trouble = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise trouble
