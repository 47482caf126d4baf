"""Whether the public address leads here, by a certificate that is good for long enough, and what its clock says."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from yarl import URL

from stampcard.cli.findings import Finding, Level
from stampcard.cli.timekeeping import Told, told_by
from stampcard.clock import Clock
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError
from stampcard.host.addresses import OutboundRules, outbound_rules
from stampcard.sealing import Sealer
from stampcard.settings import Settings

ABOUT = "http.public_url"
#: Where an installation answers a challenge; below the path that a proxy must let through in any case.
PATH = "/webhooks/-/"
#: A certificate that ends sooner should have been renewed by now.
SOON = timedelta(days=14)
SECONDS = 5.0
_MOST = 65_536
_PROXY = "See the example of a reverse proxy in config/deploy"


class Answered(Value, frozen=True):
    """What the public address answered; `until`: when its certificate ends, None without one."""

    status: int
    body: bytes
    location: str
    told: Told | None
    until: datetime | None


def look(
    settings: Settings, sealer: Sealer, clock: Clock, tls: ssl.SSLContext | None = None
) -> tuple[list[Finding], Told | None]:
    """What is to be said of the public address, and the time that it told."""
    base = settings.http.public_url
    if base is None:
        connected = bool(settings.connections)
        text = "is not set, so no webhook can come. Say in stampcard.toml how the outside reaches this installation"
        return [_finding("warning" if connected else "ok", text)], None
    found = []
    if urlsplit(base).scheme != "https":
        text = f"{base} is not https: what vendors send and members see can be read on the way. {_PROXY}"
        found.append(_finding("warning", text))
    challenge = secrets.token_hex(16)
    try:
        answered = _ask(base, challenge, settings, clock, tls)
    except _Unreached as problem:
        return [*found, _finding("warning", f"{base} {problem}")], None
    found += _judged(base, answered, sealer.answer(f"{settings.merchant}:{challenge}"))
    found += _certified(base, answered, clock.now())
    if answered.until is not None and not settings.http.proxies:
        text = "is 0, but what speaks https stands in front: all visitors count as one, so one of them in haste keeps all others out. "
        found.append(Finding(level="warning", about="http.proxies", text=f"{text}Say how many proxies there are"))
    return found, answered.told


class _Unreached(Exception):
    """Why nothing was answered, in words, with what to do."""


def _finding(level: Level, text: str) -> Finding:
    return Finding(level=level, about=ABOUT, text=text)


def _judged(base: str, answered: Answered, expected: str) -> Iterator[Finding]:
    if answered.location:
        text = f"{base} sends on to {answered.location}, and webhooks follow nobody. Name the address where it ends"
        yield _finding("warning", text)
    elif answered.status >= 500:  # noqa: PLR2004 - the class of server errors
        text = f"{base} answers {answered.status}: what stands there does not reach Stampcard. Is it served? {_PROXY}"
        yield _finding("warning", text)
    elif _proof(answered.body) == expected:
        yield _finding("ok", f"{base} leads here")
    elif _proof(answered.body):
        text = f"{base} leads to another Stampcard, or one with other keys or another merchant. {_PROXY}"
        yield _finding("warning", text)
    else:
        text = (
            f"{base} answers {answered.status}, but it is not Stampcard that does. Let {PATH} through to it. {_PROXY}"
        )
        yield _finding("warning", text)


def _certified(base: str, answered: Answered, now: datetime) -> Iterator[Finding]:
    if answered.until is None:
        return
    left = answered.until - now
    if left < SOON:
        text = f"the certificate of {base} ends in {max(left.days, 0)} days. See why it was not renewed"
        yield _finding("warning", text)
    else:
        yield _finding("ok", f"the certificate is good for {left.days} days")


def _proof(body: bytes) -> str:
    try:
        found = json.loads(body)
        return str(found["answer"]) if isinstance(found, dict) and "answer" in found else ""
    except ValueError:
        return ""


def _ask(base: str, challenge: str, settings: Settings, clock: Clock, tls: ssl.SSLContext | None) -> Answered:
    """One request, without a redirect, to an address that may be called; raises _Unreached."""
    parts = urlsplit(base)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    rules = outbound_rules(settings.security.outbound_allow, [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"])
    if refusal := rules.refusal(URL(base)):
        raise _Unreached(f"is not looked at: {refusal}")
    address = _address(host, port, rules)
    try:
        with socket.create_connection((address, port), SECONDS) as plain:
            if parts.scheme != "https":
                return _request(plain, parts.netloc, parts.path, challenge, clock, None)
            context = tls or _trusting()
            with context.wrap_socket(plain, server_hostname=host) as secured:
                until = secured.getpeercert() or {}
                ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(until["notAfter"])), UTC)
                return _request(secured, parts.netloc, parts.path, challenge, clock, ends)
    except ssl.SSLCertVerificationError as error:
        raise _Unreached(f"has a certificate that is not good ({error.verify_message}). Mend it at the proxy") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _Unreached(f"cannot be reached from here ({reason}). Look at DNS, firewall and proxy") from None


def _request(
    opened: socket.socket, netloc: str, path: str, challenge: str, clock: Clock, until: datetime | None
) -> Answered:
    with closing(http.client.HTTPConnection(netloc, timeout=SECONDS)) as connection:
        connection.sock = opened
        connection.request(
            "GET", f"{path}{PATH}{challenge}", headers={"User-Agent": "stampcard", "Connection": "close"}
        )
        answer = connection.getresponse()
        told = told_by(netloc, answer.headers.get("Date", ""), clock.now())
        location = answer.headers.get("Location", "") if 300 <= answer.status < 400 else ""  # noqa: PLR2004
        return Answered(status=answer.status, body=answer.read(_MOST), location=location, told=told, until=until)


def _address(host: str, port: int, rules: OutboundRules) -> str:
    try:
        found = [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        raise _Unreached("has a name that is not known here. Look at its DNS") from None
    reachable = [address for address in found if rules.reachable(host, port, address)]
    if not reachable:
        allow = f'[security] outbound_allow = ["{host}:{port}"]'
        problem = f"stands for {found[0]}, which is not a public address: vendors may not reach it. "
        raise _Unreached(f"{problem}If that is only so from here, {allow} lets it be looked at")
    return reachable[0]


def _trusting() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context(trust_env=False)


def sealer_of(settings: Settings) -> Sealer | None:
    """The keys, or None where they are wrong, which is told by itself."""
    from stampcard.app import open_sealer

    try:
        return open_sealer(settings)
    except ConfigurationError:
        return None
