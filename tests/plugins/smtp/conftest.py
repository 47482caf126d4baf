"""A connection called mail that sends to a mailbox on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from tests.mailboxes import Mailbox

from stampcard.host.dialling import guarded_dial
from stampcard.plugin import ConnectionContext, Message
from stampcard.testing.clock import FakeClock
from stampcard.testing.rules.case import MemoryStore
from stampcard_smtp.plugin import SmtpSettings
from stampcard_smtp.pooling import Pool
from stampcard_smtp.sending import EmailChannel

TOKENS = ("newer-token-of-twenty-letters", "older-token-of-twenty-letters")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

Contexts = Callable[..., ConnectionContext[SmtpSettings]]
Messages = Callable[..., Message]
Posting = Callable[..., AbstractAsyncContextManager[EmailChannel]]


def make_context(**settings: Any) -> ConnectionContext[SmtpSettings]:
    told = SmtpSettings.model_validate(
        {"host": "127.0.0.1", "sender": "loyalty@shop.example", "sender_name": "The Shop", "timeout": 5, **settings}
    )
    return ConnectionContext(
        name="mail",
        settings=told,
        http=httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500))),
        clock=FakeClock(NOW),
        log=structlog.get_logger(),
        store=MemoryStore(),
        public_url="https://loyalty.example",
        dial=guarded_dial(("127.0.0.1",), told.outbound_hosts()),
    )


def make_message(**fields: Any) -> Message:
    return Message(
        **{
            "id": "m17",
            "name": "welcome",
            "member": "ann",
            "to": "ann@mail.example",
            "to_name": "Ann Archer",
            "purpose": "marketing",
            "language": "en",
            "direction": "ltr",
            "subject": "You have 12 points",
            "text": "Hello Ann,\nyou have 12 points.\n",
            **fields,
        }
    )


@asynccontextmanager
async def post(mailbox: Mailbox, **settings: Any) -> AsyncIterator[EmailChannel]:
    context = make_context(**{**mailbox.settings, **settings})
    pool = Pool(context)
    try:
        yield EmailChannel(context, pool)
    finally:
        pool.close()


@pytest.fixture(scope="session")
def context() -> Contexts:
    """Makes what a connection gets from the host, with these settings."""
    return make_context


@pytest.fixture(scope="session")
def message() -> Messages:
    """Makes a message to Ann, with these fields."""
    return make_message


@pytest.fixture(scope="session")
def posting() -> Posting:
    """The channel of a connection that reaches a mailbox, with these settings, as long as the block lasts."""
    return post
