"""Connections to the mail server: a few at once, each used for many mails, and closed when nobody needs it."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPStatus,
)
from aiosmtplib.protocol import SMTPProtocol

from stampcard.plugin import ConnectionContext, PluginError

if TYPE_CHECKING:
    from stampcard_smtp.settings import SmtpSettings

#: Whatever the library, the network or TLS may raise.
TROUBLE = (SMTPException, OSError, ValueError)
#: What to look at, by what went wrong while a connection began; the first that fits.
_BLAME: Mapping[type[Exception], str] = {
    ssl.SSLCertVerificationError: "its certificate is not good for that name, or unknown here: check host",
    ssl.SSLError: "it does not begin TLS as told: check port and security",
    SMTPAuthenticationError: "it refuses the log-in: check username and password",
    SMTPResponseException: "it does not want to talk to us: check host and port",
    TimeoutError: "it does not answer in time: check host, port, security and timeout",
    OSError: "nobody answers there: check host, port and security",
    SMTPException: "it does not offer what security and username ask for: check them and port",
    ValueError: "it does not talk SMTP: check host and port",
}


class Unreachable(PluginError):
    """No connection came about, so that nothing was sent; `problem` names what to change."""

    def __init__(self, problem: str) -> None:
        super().__init__("smtp", problem)


class Link:
    """One connection that has greeted and logged in."""

    def __init__(self, smtp: SMTP) -> None:
        self._smtp = smtp
        self._deadline = math.inf
        self.carried = 0

    def hurry(self, deadline: float) -> None:
        """Wait for no answer any longer than until then, by the loop's clock."""
        self._deadline = deadline

    @property
    def is_open(self) -> bool:
        return self._smtp.is_connected

    @property
    def is_international(self) -> bool:
        """Whether addresses may have letters beyond ASCII (RFC 6531)."""
        return self._smtp.supports_extension("smtputf8")

    async def ask(self, *command: bytes) -> SMTPResponse:
        """Give a command; raises one of TROUBLE where no answer comes."""
        with self._ending():
            return await self._smtp.execute_command(*command, timeout=self._patience)

    def write(self, content: bytes) -> None:
        """Send a mail's text with its last dot; raises one of TROUBLE if nothing of it left."""
        with self._ending() as protocol:
            protocol.write(content)

    async def answer(self) -> SMTPResponse:
        """What the server says to that; raises one of TROUBLE where no answer comes."""
        with self._ending() as protocol:
            return await protocol.read_response(self._patience)

    async def reset(self) -> None:
        """Forget the mail at hand; a server that cannot is left."""
        with suppress(*TROUBLE):
            if self.is_open and (await self.ask(b"RSET")).code != SMTPStatus.completed:
                self.close()

    def close(self) -> None:
        """Say good-bye and wait for no answer."""
        if self._smtp.protocol is not None:
            with suppress(*TROUBLE):
                self._smtp.protocol.write(b"QUIT\r\n")
        self._smtp.close()

    @property
    def _patience(self) -> float:
        """Seconds that the next answer may take."""
        left = self._deadline - asyncio.get_running_loop().time()
        return max(0.01, min(left, self._smtp.timeout or left))

    @contextmanager
    def _ending(self) -> Iterator[SMTPProtocol]:
        """Close where no answer comes: what is said later would be taken for the answer to another question."""
        if self._smtp.protocol is None:
            raise SMTPServerDisconnected("the connection was lost")
        try:
            yield self._smtp.protocol
        except BaseException:
            self._smtp.close()
            raise


class Pool:
    """Lends connections, as many at once as the settings allow."""

    def __init__(self, context: ConnectionContext[SmtpSettings]) -> None:
        self._context = context
        self._room = asyncio.Semaphore(context.settings.connections)
        self._idle: dict[Link, asyncio.TimerHandle] = {}
        #: How many are in use or about to be, and who waits for one of these.
        self._busy = 0
        self._waiting: list[asyncio.Future[None]] = []
        #: How often no connection came about, and why not the last time.
        self._failures = 0
        self._problem = ""

    @asynccontextmanager
    async def lent(self, deadline: float) -> AsyncIterator[Link]:
        """A connection for one mail, which must be free by then; raises Unreachable. It is closed if the block fails."""
        failures = self._failures
        async with self._turn(deadline):
            link = await self._found(failures, deadline)
            with self._using():
                try:
                    yield link
                except BaseException:
                    link.close()
                    raise
                self._take_back(link)

    async def _found(self, failures: int, deadline: float) -> Link:
        """One that rests, or a new one; where the server takes no more at once, one that another mail is done with."""
        while (link := self._rested()) is None:
            # Others found out meanwhile: a batch does not wait for a server that is down as often as it has mails.
            if self._failures == failures:
                with suppress(Unreachable), self._using():
                    return await self.opened(deadline)
            if not self._busy:
                raise Unreachable(self._problem)
            await self._another_done(deadline)
        return link

    @contextmanager
    def _using(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def _another_done(self, deadline: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout_at(deadline):
                await waiting
        except TimeoutError:
            raise Unreachable(self._problem) from None
        finally:
            self._waiting.remove(waiting)

    @asynccontextmanager
    async def _turn(self, deadline: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline):
                await self._room.acquire()
        except TimeoutError:
            raise Unreachable("the mail server is too slow for so many mails at once: lower per_second") from None
        try:
            yield
        finally:
            self._room.release()

    async def opened(self, deadline: float) -> Link:
        """A new connection, which whoever asked for it closes; raises Unreachable, also where there is none by then."""
        with self._blaming():
            async with asyncio.timeout_at(deadline):
                return await self._greeted()

    async def _greeted(self) -> Link:
        settings = self._context.settings
        smtp = SMTP(
            hostname=settings.host,
            sock=await self._context.dial(settings.host, settings.port),
            local_hostname=settings.domain,
            timeout=settings.timeout,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
        )
        await smtp.connect()
        try:
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
        except BaseException:
            smtp.close()
            raise
        return Link(smtp)

    def close(self) -> None:
        """Close what nobody uses at the moment."""
        for link, timer in self._idle.items():
            timer.cancel()
            link.close()
        self._idle.clear()

    def _rested(self) -> Link | None:
        """The connection that was used last and is still good."""
        while self._idle:
            link, timer = self._idle.popitem()
            timer.cancel()
            if link.is_open:
                return link
        return None

    def _take_back(self, link: Link) -> None:
        link.carried += 1
        if not link.is_open or link.carried >= self._context.settings.per_connection:
            link.close()
            return
        # The host says nothing when a connection is unplugged, so that each closes by itself.
        later = asyncio.get_running_loop().call_later(self._context.settings.idle, self._end, link)
        self._idle[link] = later

    def _end(self, link: Link) -> None:
        self._idle.pop(link, None)
        link.close()

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except TROUBLE as error:
            raise self._failed(_blame(error)) from None
        except Exception as error:  # noqa: BLE001 - the host's refusal to dial, which says why and what would allow it
            raise self._failed(str(error)) from None

    def _failed(self, what: str) -> Unreachable:
        where = self._context.settings.where
        self._failures += 1
        self._problem = f"no connection to the mail server {where}: {what.removeprefix(f'{where}: ')}"
        return Unreachable(self._problem)


def _blame(error: Exception) -> str:
    """What to look at; the library wraps some errors in its own, and the text of any may quote what was sent."""
    kinds = (error, error.__cause__)
    found = next(words for kind, words in _BLAME.items() if any(isinstance(one, kind) for one in kinds))
    return f"{found} ({error.code})" if isinstance(error, SMTPResponseException) and error.code > 0 else found
