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
            async with asyncio.timeout(CONNECTING):
                return await _opened(rules, host, port)
        except TimeoutError:
            raise ConnectionError(f"{host}:{port} did not answer within {CONNECTING:g} seconds") from None

    return dial


async def _opened(rules: OutboundRules, host: str, port: int) -> socket.socket:
    """The first of a name's addresses that answers, of those that may be reached."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    reachable = [one for one in found if rules.reachable(host, port, str(one[4][0]).partition("%")[0])]
    if not reachable:
        reason = "its name stands for an address that is not public; see [security] outbound_allow"
        raise CallRefused(f"{host}:{port}", reason)
    trouble: OSError = OSError(f"nobody answers at {host}:{port}")
    for family, kind, protocol, _, address in reachable:
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        try:
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
