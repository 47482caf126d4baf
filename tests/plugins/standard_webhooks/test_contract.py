"""It keeps the contract; only that its address is called `url`, because it is no vendor's."""

from __future__ import annotations

import httpx
import msgspec

import stampcard_standard_webhooks.plugin
from stampcard.plugin import Command
from stampcard.testing.contract import PluginContract
from stampcard.testing.rules.delivering import ELSEWHERE

SECRETS = ("whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw==", "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz")


class TestStandardWebhooks(PluginContract):
    plugin = stampcard_standard_webhooks.plugin
    settings = {"url": "https://shop.example/loyalty", "secrets": SECRETS}  # noqa: RUF012 - a declaration, never changed
    credentials = SECRETS
    sinks = ("webhook",)
    refusals = (410,)
    success_is_in_the_body = False

    def vendor(self, request: httpx.Request) -> httpx.Response:
        told = msgspec.json.decode(request.content)
        return httpx.Response(204 if told["type"] and request.headers["webhook-signature"] else 400)

    def item(self, kind: str, number: int) -> Command:
        data = {"type": "points.earned", "timestamp": "2026-03-10T12:00:00Z", "data": {"member": f"m{number}"}}
        return Command(kind=kind, key=f"msg_{number}", member=f"m{number}", reference="", data=data)

    def test_settings_have_an_api_url(self) -> None:
        assert "127.0.0.1:9" in self._read(url="http://127.0.0.1:9").outbound_hosts()

    def test_all_calls_go_to_the_api_url(self) -> None:
        async def asked() -> list[str]:
            async with self.visiting(url=ELSEWHERE) as visit:
                await visit.sink("webhook").deliver([self.item("webhook", 1)])
                return [str(request.url) for request in visit.requests]

        assert self.run(asked()) == [ELSEWHERE]
