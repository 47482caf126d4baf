"""What keeps messages and calls nobody keeps the contract, too."""

from __future__ import annotations

import stampcard_inbox.plugin
from stampcard.testing.contract import PluginContract
from stampcard.testing.rules.messaging import MessagingRules


class TestInbox(PluginContract):
    plugin = stampcard_inbox.plugin
    settings = {}  # noqa: RUF012 - a declaration, never changed
    channels = ("inbox",)
    calls_by_http = False


class TestBanner(MessagingRules):
    plugin = stampcard_inbox.plugin
    settings = {"channel": "banner"}  # noqa: RUF012
    channels = ("banner",)
    calls_by_http = False
