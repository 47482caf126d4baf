"""A mail server on this machine that keeps what it gets, and answers as it is told."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stampcard.clock import SystemClock

HERE = "127.0.0.1"
#: Instead of an answer: the connection ends, or nothing is ever said.
DROPPED, SILENT = "dropped", "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail that came in, with its envelope. `connection`: which one brought it, counted from 1."""

    sender: str
    recipients: tuple[str, ...]
    options: tuple[str, ...]
    content: bytes
    connection: int
    encrypted: bool
    login: str

    @property
    def parsed(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)


class Mailbox:
    """Listens on a free port while the block lasts.

    `answers`: to RCPT, by address; `endings`: to the dot after a mail's text, by address; `commands`: to any command at all.
    Each is a line such as ``550 5.1.1 nobody``, DROPPED or SILENT. `login`: the name and password that are asked for.
    Its certificate is of its own making.
    """

    def __init__(
        self,
        *,
        answers: Mapping[str, str] | None = None,
        endings: Mapping[str, str] | None = None,
        commands: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        security: Literal["starttls", "tls", "none"] = "none",
        international: bool = True,
    ) -> None:
        self.answers, self.endings, self.commands = dict(answers or {}), dict(endings or {}), dict(commands or {})
        self.login, self.security, self.international = login, security, international
        self.mails: list[Mail] = []
        #: The names that somebody logged in with, or tried to.
        self.logins: list[str] = []
        #: How many connections there ever were, and those that are open now.
        self.connections = 0
        self.sessions: set[_Session] = set()
        #: Set while nobody is connected any more.
        self.left = asyncio.Event()
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def where(self) -> str:
        return f"{HERE}:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a connection of the plugin `smtp` that reach it."""
        told: dict[str, Any] = {"host": HERE, "port": self.port, "security": self.security}
        name, password = self.login or (None, None)
        return told | ({"username": name, "password": password} if self.login else {})

    def trusted(self, folder: Path) -> Path:
        """A file with its certificate, for the environment's SSL_CERT_FILE."""
        file = folder / "mailbox.pem"
        file.write_bytes(certificate()[0])
        return file

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        context = _tls() if self.security == "tls" else None
        self._server = await loop.create_server(partial(_Session, self, loop), HERE, 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        sessions = list(self.sessions)
        for session in sessions:
            session.end()
        await asyncio.gather(*(session.done() for session in sessions))


class _Session(SMTP):
    """One connection."""

    def __init__(self, mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            _Handler(mailbox),
            loop=loop,
            hostname=HERE,
            enable_SMTPUTF8=mailbox.international,
            tls_context=_tls() if mailbox.security == "starttls" else None,
            require_starttls=True,
            auth_require_tls=False,
            authenticator=_authenticator(mailbox),
        )
        self._mailbox = mailbox
        self.number = 0
        for command, answer in mailbox.commands.items():
            self._smtp_methods[command] = partial(self._say, answer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self.number:
            self._mailbox.connections += 1
            self.number = self._mailbox.connections
            self._mailbox.sessions.add(self)
            self._mailbox.left.clear()

    def connection_lost(self, error: Exception | None) -> None:
        self._mailbox.sessions.discard(self)
        if not self._mailbox.sessions:
            self._mailbox.left.set()
        super().connection_lost(error)

    @property
    def is_encrypted(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    def end(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    async def done(self) -> None:
        if self._handler_coroutine is not None:
            await asyncio.wait([self._handler_coroutine])

    async def answered(self, answer: str) -> str:
        """A line as it is; without one, nothing is ever said."""
        if answer == DROPPED:
            self.end()
        if answer in {DROPPED, SILENT}:
            await asyncio.Event().wait()
        return answer

    async def _say(self, answer: str, _: str | None) -> None:
        await self.push(await self.answered(answer))


class _Handler:
    """What becomes of what a connection brings."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_EHLO(  # noqa: N802 - the library says what these are called
        self, _: _Session, session: Session, _envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in lines if self._mailbox.login or not line.startswith("250-AUTH")]

    async def handle_MAIL(  # noqa: N802
        self, _: _Session, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._mailbox.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: _Session, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self._mailbox.answers:
            return await server.answered(self._mailbox.answers[address])
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Session, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = Mail(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            options=tuple(envelope.mail_options),
            content=envelope.original_content or b"",
            connection=server.number,
            encrypted=server.is_encrypted,
            login=session.auth_data or "",
        )
        answer = self._mailbox.endings.get(envelope.rcpt_tos[0], "250 2.0.0 OK")
        if answer in {DROPPED, SILENT} or answer.startswith("2"):
            self._mailbox.mails.append(mail)
        return await server.answered(answer)


def _authenticator(mailbox: Mailbox) -> Any:
    def authenticate(_: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        if given is None:
            return AuthResult(success=False, handled=False)
        mailbox.logins.append(given[0])
        return AuthResult(success=given == mailbox.login, handled=False, auth_data=given[0])

    return authenticate


@cache
def certificate() -> tuple[bytes, bytes]:
    """A certificate of this machine's own address that nobody else signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HERE)])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(b"".join(certificate()))
        context.load_cert_chain(file)
    return context
