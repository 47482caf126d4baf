"""Where calls may go: judged by scheme, name and port before a call, by address when connecting."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from yarl import URL

from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError

SETTING = "security.outbound_allow"
HTTPS_PORT = 443

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Only this block is handed out for the public IPv6 network; mapped, compatible and NAT64 addresses lie outside it.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# 6to4 wraps any IPv4 address, private ones too; the second is for documents.
_NOT_PUBLIC_V6 = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("3fff::/20"))


class OutboundRules(Value, frozen=True):
    """What the installation allows (`hosts` with a port or any, `networks`) and what the connection names (`named`)."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[Network, ...] = ()
    named: frozenset[tuple[str, int | None]] = frozenset()

    def refusal(self, url: URL) -> str:
        """Why a call must not be made, or the empty text."""
        if url.raw_user is not None or url.raw_password is not None:
            return "a URL must not carry a user name or password"
        if url.scheme not in {"http", "https"}:
            return f"{url.scheme or 'no scheme'} is not a way to call"
        host, port = _plain(url.raw_host or ""), url.port or 0
        literal = _address(host)
        if self._allows(host, port, literal):
            return ""
        reason = ""
        if url.scheme != "https":
            reason = "only https is allowed"
        elif (host, port) not in self.named:
            reason = "the connection's settings do not name this host"
        elif literal is not None and not is_public(literal):
            reason = "the address is not public"
        return reason and f'{reason}; [security] outbound_allow = ["{_entry(host, port)}"] would allow it'

    def refusal_of(self, host: str, port: int) -> str:
        """Why a socket to a host and port must not be opened, or the empty text."""
        host = _plain(host)
        literal = _address(host)
        if self._allows(host, port, literal):
            return ""
        reason = "" if (host, port) in self.named else "the connection's settings do not name this host and port"
        if not reason and literal is not None and not is_public(literal):
            reason = "the address is not public"
        return reason and f'{reason}; [security] outbound_allow = ["{_entry(host, port)}"] would allow it'

    def reachable(self, host: str, port: int, address: str) -> bool:
        """Whether a socket to an address that a name stands for may be opened."""
        parsed = _address(address)
        return parsed is not None and (is_public(parsed) or self._allows(_plain(host), port, parsed))

    def _allows(self, host: str, port: int, address: Address | None) -> bool:
        if (host, port) in self.hosts or (host, None) in self.hosts:
            return True
        return address is not None and any(address in network for network in self.networks)


def outbound_rules(allowed: Sequence[str], named: Sequence[str]) -> OutboundRules:
    """Read the allowed hosts, ``host:port`` and networks, and the hosts that a connection names (443 unless it says).

    Raises ConfigurationError naming the entry that cannot be read.
    """
    networks = [network for network in map(_network, allowed) if network is not None]
    hosts = [_host_and_port(entry, SETTING) for entry in allowed if _network(entry) is None]
    names = [_host_and_port(entry, "api_url") for entry in named]
    return OutboundRules(
        hosts=frozenset(hosts),
        networks=tuple(networks),
        named=frozenset((host, port or HTTPS_PORT) for host, port in names),
    )


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public network and to nothing that leads back inside."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
        return inside and address.is_global
    return address.is_global and not address.is_multicast


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host_and_port(entry: str, setting: str) -> tuple[str, int | None]:
    try:
        url = URL(f"//{entry.strip()}")
        host, port = url.raw_host, url.explicit_port
    except ValueError:
        host, port = None, None
    if not host or any(map(str.isspace, entry.strip())) or url.raw_path not in {"", "/"} or url.raw_user is not None:
        raise ConfigurationError(setting, f"{entry!r} is not a host, host:port or network", "Write it without https://")
    return _plain(host), port


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _entry(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
