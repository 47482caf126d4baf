from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.mailboxes import DROPPED, Mailbox
from tests.plugins.smtp.conftest import TOKENS, make_context

import stampcard_smtp.plugin
from stampcard.plugin import Health, MessageReported
from stampcard.testing.contract import PluginContract

NAME, PASSWORD = "the shop itself", "correct horse"
SETTINGS = {
    "host": "smtp.shop.example",
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
    "bounce__not_spam": [],
    "bounce__opted_out": [MessageReported],
    "bounce__read_receipt": [],
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

    def sign(self, _topic: str, _body: bytes, secret: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {secret}", "Content-Type": "message/rfc822"}

    def test_settings_have_an_api_url(self) -> None:
        """What is no HTTP has no address to call: host and port lead all connections elsewhere."""
        assert self._read(host="127.0.0.1", port=9).outbound_hosts() == ("127.0.0.1:9",)

    def test_all_calls_go_to_the_api_url(self) -> None:
        """Nothing is called by HTTP, and nothing dialled but what host and port say."""

        async def asked() -> int:
            async with self.visiting() as visit:
                assert visit.capabilities.check_health is not None
                await visit.capabilities.check_health()
                return len(visit.requests)

        assert self.run(asked()) == 0

    def test_health_is_told_whatever_the_vendor_does(self) -> None:
        """check_health answers with a Health that is ok, or names the problem; it never raises."""
        assert self._health_at({}).ok
        for answer in (DROPPED, "421 4.3.2 going down", "554 no", "hello", "99 what"):
            for command in ("EHLO", "NOOP"):
                health = self._health_at({command: answer})
                assert not health.ok, f"{command} is answered with {answer}"
                assert "check" in health.problem

    def _health_at(self, commands: Mapping[str, str]) -> Health:
        async def check() -> Health:
            async with Mailbox(commands=commands) as mailbox:
                told = await stampcard_smtp.plugin.connect(context=make_context(**mailbox.settings))
                assert told.check_health is not None
                return await told.check_health()

        return asyncio.run(check())
