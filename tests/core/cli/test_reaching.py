"""The public address is looked at as the outside sees it, over real TLS on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stampcard.app import Application, open_sealer
from stampcard.cli.findings import Finding
from stampcard.cli.reaching import look
from stampcard.cli.timekeeping import Told
from stampcard.clock import SystemClock
from stampcard.settings import Settings
from stampcard_webhooks.server import build

Look = Callable[..., Any]


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The address says nothing of the kind of database."""
    shutil.copy(sqlite_template, tmp_path / "stampcard.db")
    return f"sqlite:///{tmp_path / 'stampcard.db'}"


def certificate(folder: Path, until: datetime) -> Path:
    """A certificate of this machine that it signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=400))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


async def elsewhere(request: web.Request) -> web.Response:
    """What stands behind other paths: what a wrong proxy may answer."""
    match request.match_info["what"]:
        case "moved":
            return web.Response(status=301, headers={"Location": "https://www.example.com/"})
        case "down":
            return web.Response(status=502)
        case "twin":
            return web.json_response({"answer": "0" * 64})
        case _:
            return web.Response(text="<h1>A shop</h1>")


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """Serves this installation, or other things, with a certificate or plainly; answers the port."""
    runners: list[web.AppRunner] = []
    application = Application(settings)
    await application.open(loops=False, calls=False)

    async def start(file: Path | None, *, here: bool = True) -> int:
        server = build(application) if here else web.Application()
        if not here:
            server.router.add_get("/{what}/webhooks/-/{challenge}", elsewhere)
        runner = web.AppRunner(server, access_log=None)
        await runner.setup()
        runners.append(runner)
        context = None
        if file is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(file)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()
    await application.close()


async def looked(
    settings: Settings, base: str, *, trusted: Path | None = None, allow: bool = True, proxies: int = 1
) -> tuple[list[Finding], Told | None]:
    told = settings.model_copy(
        update={
            "http": settings.http.model_copy(update={"public_url": base, "proxies": proxies}),
            "security": settings.security.model_copy(update={"outbound_allow": ("127.0.0.0/8",) if allow else ()}),
        }
    )
    tls = ssl.create_default_context(cafile=trusted) if trusted is not None else None
    return await asyncio.to_thread(look, told, open_sealer(settings), SystemClock(), tls)


def texts(found: list[Finding], level: str) -> list[str]:
    assert {one.about for one in found} == {"http.public_url"}
    return [one.text for one in found if one.level == level]


async def test_an_address_that_leads_here_is_well_and_tells_the_time(
    serve: Any, settings: Settings, tmp_path: Path
) -> None:
    file = certificate(tmp_path, SystemClock().now() + timedelta(days=89, hours=1))
    base = f"https://127.0.0.1:{await serve(file)}"
    found, told = await looked(settings, base, trusted=file)
    assert texts(found, "ok") == [f"{base} leads here", "the certificate is good for 89 days"]
    assert len(found) == 2
    assert told is not None
    assert abs(told.ahead) < 10
    *_, uncounted = (await looked(settings, base, trusted=file, proxies=0))[0]
    assert (uncounted.level, uncounted.about) == ("warning", "http.proxies")
    assert "one of them in haste keeps all others out" in uncounted.text
    untrusted, told = await looked(settings, base)
    (text,) = texts(untrusted, "warning")
    assert ("has a certificate that is not good (self" in text, told) == (True, None)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("moved", "sends on to https://www.example.com/, and webhooks follow nobody"),
        ("down", "answers 502: what stands there does not reach Stampcard"),
        ("twin", "leads to another Stampcard, or one with other keys"),
        ("shop", "answers 200, but it is not Stampcard that does. Let /webhooks/-/ through"),
    ],
)
async def test_what_leads_elsewhere_and_ends_soon_is_told(
    serve: Any, settings: Settings, tmp_path: Path, what: str, said: str
) -> None:
    file = certificate(tmp_path, SystemClock().now() + timedelta(days=3, hours=1))
    found, _ = await looked(settings, f"https://127.0.0.1:{await serve(file, here=False)}/{what}", trusted=file)
    elsewhere_, ends = texts(found, "warning")
    assert said in elsewhere_
    assert "ends in 3 days. See why it was not renewed" in ends


async def test_plain_http_is_told_and_looked_at_only_where_that_is_allowed(serve: Any, settings: Settings) -> None:
    base = f"http://127.0.0.1:{await serve(None)}"
    plain, refused = texts((await looked(settings, base, allow=False))[0], "warning")
    assert "can be read on the way" in plain
    assert "is not looked at: only https is allowed; [security] outbound_allow" in refused
    found, _ = await looked(settings, base)
    assert (texts(found, "warning"), texts(found, "ok")) == ([plain], [f"{base} leads here"])


async def test_a_name_that_stands_for_a_private_address_is_not_called(settings: Settings) -> None:
    found, _ = await looked(settings, "https://localhost:1", allow=False)
    (text,) = texts(found, "warning")
    assert "which is not a public address: vendors may not reach it" in text
    assert '[security] outbound_allow = ["localhost:1"] lets it be looked at' in text


async def test_an_address_where_nobody_answers_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed,) = texts((await looked(settings, "https://127.0.0.1:1"))[0], "warning")
    assert "cannot be reached from here (Connection refused). Look at DNS, firewall and proxy" in closed

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (nowhere,) = texts((await looked(settings, "https://loyalty.example.com"))[0], "warning")
    assert "has a name that is not known here" in nowhere


async def test_without_an_address_no_webhook_can_come(settings: Settings) -> None:
    found, _ = look(settings, open_sealer(settings), SystemClock())
    assert "so no webhook can come" in texts(found, "warning")[0]
    alone = settings.model_copy(update={"connections": {}})
    assert texts(look(alone, open_sealer(settings), SystemClock())[0], "warning") == []
