from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.mailboxes import DROPPED, HERE, Mailbox
from tests.plugins.smtp.conftest import TOKENS, make_context

import stampcard_smtp.plugin
from stampcard.plugin import Dial, MessageReported
from stampcard.testing.contract import PluginContract
from stampcard.testing.rules.case import Mood

NAME, PASSWORD = "the shop itself", "correct horse"
SETTINGS = {
    "host": "smtp.shop.example",
    "security": "none",
    "sender": "loyalty@shop.example",
    "username": NAME,
    "password": PASSWORD,
    "bounce_tokens": TOKENS,
}
EXPECTED: dict[str, list[type]] = {
    "bounce__absence": [],
    "bounce__authentication_failed": [],
    "bounce__by_policy": [MessageReported],
    "bounce__complaint": [MessageReported],
    "bounce__delayed": [MessageReported],
    "bounce__delivered": [MessageReported],
    "bounce__exim": [MessageReported],
    "bounce__expired": [MessageReported],
    "bounce__foreign": [],
    "bounce__foreign_complaint": [],
    "bounce__headers_only": [MessageReported],
    "bounce__international": [MessageReported],
    "bounce__not_spam": [],
    "bounce__opted_out": [MessageReported],
    "bounce__read_receipt": [],
    "bounce__rewritten_by_exchange": [MessageReported],
    "bounce__rewritten_by_ses": [MessageReported],
    "bounce__strange_action": [],
    "bounce__two_mailboxes": [MessageReported, MessageReported],
    "bounce__unknown_user": [MessageReported],
    "bounce__without_original": [],
}


class TestSmtp(PluginContract):
    plugin = stampcard_smtp.plugin
    settings = SETTINGS
    secrets = TOKENS
    credentials = (PASSWORD,)
    fixtures = Path(__file__).parent / "fixtures"
    topics = ("bounce",)
    expected = EXPECTED
    unknown_topic = "letter"
    signature_header = "authorization"
    signs_body = False
    channels = ("email",)
    unfit_address = "nobody@mail.example"
    calls_by_http = False

    def sign(self, _topic: str, _body: bytes, secret: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {secret}", "Content-Type": "message/rfc822"}

    @asynccontextmanager
    async def open_dial(self, mood: Mood, /) -> AsyncIterator[Dial]:
        known = [*(self.address("email", number) for number in range(20)), self.unfit_address]
        quoted = f"550 5.7.1 {known[1]} Amaryllis {PASSWORD}"
        answer = {"lost": DROPPED, "odd": "99 what", "busy": "451 4.3.0 later", "quoting": quoted}.get(mood)
        endings = dict.fromkeys(known, answer) if answer else {}
        box = Mailbox(answers={self.unfit_address: "550 5.1.1 nobody"}, endings=endings, login=(NAME, PASSWORD))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logging.getLogger("mail.log"), "disabled", True)  # what the mailbox says is not ours
            async with box as mailbox:
                yield partial(_dial, mailbox)


async def _dial(mailbox: Mailbox, _host: str, _port: int) -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    await asyncio.get_running_loop().sock_connect(opened, (HERE, mailbox.port))
    return opened


@pytest.mark.parametrize("answer", [DROPPED, "421 4.3.2 going down", "554 no", "hello", "99 what"])
@pytest.mark.parametrize("command", ["EHLO", "NOOP"])
async def test_health_names_what_to_check(command: str, answer: str) -> None:
    async with Mailbox(commands={command: answer}) as mailbox:
        told = await stampcard_smtp.plugin.connect(context=make_context(**mailbox.settings))
        assert told.check_health is not None
        health = await told.check_health()
    assert not health.ok
    assert "check" in health.problem
