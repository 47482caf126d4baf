"""A socket is opened to what the settings name, at an address that may be reached, and to nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from stampcard.errors import CallRefused
from stampcard.host import dialling
from stampcard.host.dialling import guarded_dial

PUBLIC, PRIVATE, HERE = "93.184.216.34", "10.1.2.3", "127.0.0.1"


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """The port of a server on this machine that says hello."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    opened = await asyncio.start_server(greet, HERE, 0)
    async with opened:
        yield opened.sockets[0].getsockname()[1]


@pytest.fixture
def stands_for(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets every name stand for these addresses, and notes which of them a socket is opened to."""
    tried: list[str] = []

    def name(*addresses: str, answers: Sequence[str] = ()) -> list[str]:
        async def found(*_: Any, **__: Any) -> list[Any]:
            families = {address: socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses}
            return [(family, socket.SOCK_STREAM, 6, "", (address, 25)) for address, family in families.items()]

        async def connect(_: socket.socket, address: tuple[str, int]) -> None:
            tried.append(address[0])
            if address[0] not in answers:
                raise ConnectionRefusedError(address[0])

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", found)
        monkeypatch.setattr(loop, "sock_connect", connect)
        return tried

    return name


async def test_a_server_that_is_allowed_is_reached(server: int) -> None:
    for allowed in ("127.0.0.0/8", f"{HERE}:{server}", HERE):
        dial = guarded_dial((allowed,), (f"{HERE}:{server}",))
        with await dial(HERE, server) as opened:
            assert opened.gettimeout() == 0
            assert await asyncio.get_running_loop().sock_recv(opened, 99) == b"hello\n"


async def test_a_name_that_is_allowed_is_reached(server: int) -> None:
    dial = guarded_dial(("localhost",), (f"localhost:{server}",))
    with await dial("localhost", server) as opened:
        assert opened.getpeername() == (HERE, server)


async def test_a_name_may_lead_into_a_network_that_is_allowed(server: int) -> None:
    dial = guarded_dial(("127.0.0.0/8",), (f"localhost:{server}",))
    with await dial("localhost", server) as opened:
        assert opened.getpeername() == (HERE, server)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("other.example", 25),
        ("smtp.shop.example", 587),
        ("smtp.shop.example.evil.example", 25),
        (PUBLIC, 26),
        (PRIVATE, 26),
        ("", 25),
    ],
)
async def test_what_the_settings_do_not_name_is_refused(host: str, port: int, stands_for: Any) -> None:
    tried = stands_for(PUBLIC, answers=[PUBLIC])
    dial = guarded_dial((), ("smtp.shop.example:25", f"{PUBLIC}:25", f"{PRIVATE}:25"))
    with pytest.raises(CallRefused, match="do not name this host and port"):
        await dial(host, port)
    assert tried == []


@pytest.mark.parametrize(
    "host", [PRIVATE, HERE, "::1", "169.254.169.254", "::ffff:7f00:1", "fd00::1", "2002:7f00:1::1"]
)
async def test_a_private_address_is_refused_and_told_what_would_allow_it(host: str, stands_for: Any) -> None:
    tried = stands_for(host, answers=[host])
    named = f"[{host}]:25" if ":" in host else f"{host}:25"
    with pytest.raises(CallRefused, match=r"not public.*outbound_allow"):
        await guarded_dial((), (named,))(host, 25)
    assert tried == []


@pytest.mark.parametrize("address", [PRIVATE, HERE, "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "169.254.169.254"])
async def test_a_name_that_stands_for_a_private_address_is_refused(address: str, stands_for: Any) -> None:
    tried = stands_for(address, answers=[address])
    with pytest.raises(CallRefused, match="stands for an address that is not public"):
        await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)
    assert tried == []


async def test_of_several_addresses_only_the_public_ones_are_tried(stands_for: Any) -> None:
    tried = stands_for(PRIVATE, "8.8.8.8", PUBLIC, HERE, answers=[PUBLIC, PRIVATE, HERE])
    (await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)).close()
    assert tried == ["8.8.8.8", PUBLIC]


async def test_where_no_address_answers_the_last_error_is_told(stands_for: Any) -> None:
    tried = stands_for("8.8.8.8", PUBLIC)
    with pytest.raises(ConnectionRefusedError, match=PUBLIC):
        await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)
    assert tried == ["8.8.8.8", PUBLIC]


async def test_a_name_counts_however_it_is_written(stands_for: Any) -> None:
    stands_for(PUBLIC, answers=[PUBLIC])
    (await guarded_dial((), ("smtp.shop.example:25",))("SMTP.Shop.Example.", 25)).close()


async def test_nobody_there_is_an_os_error() -> None:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await guarded_dial((HERE,), ())(HERE, port)


async def test_a_name_that_nobody_knows_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)


async def test_what_does_not_answer_in_time_is_a_connection_error(
    monkeypatch: pytest.MonkeyPatch, stands_for: Any
) -> None:
    stands_for(PUBLIC)
    sockets: list[socket.socket] = []

    async def wait(opened: socket.socket, _: Any) -> None:
        sockets.append(opened)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", wait)
    monkeypatch.setattr(dialling, "CONNECTING", 0.05)
    with pytest.raises(ConnectionError, match=r"did not answer within 0\.05 seconds"):
        await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)
    assert [opened.fileno() for opened in sockets] == [-1]


async def test_an_address_that_says_nothing_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, stands_for: Any
) -> None:
    stands_for("2606:2800:220:1::1", "8.8.8.8", PUBLIC)
    tried: list[str] = []

    async def connect(_: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        if address[0] != PUBLIC:
            await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    monkeypatch.setattr(dialling, "CONNECTING", 0.3)
    (await guarded_dial((), ("smtp.shop.example:25",))("smtp.shop.example", 25)).close()
    assert tried == ["2606:2800:220:1::1", "8.8.8.8", PUBLIC]
