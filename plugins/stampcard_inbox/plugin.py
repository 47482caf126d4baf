"""Keeps messages for members to fetch: an inbox in an app, or a place on the shop's pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from stampcard.plugin import (
    Capabilities,
    Channel,
    ConnectionContext,
    Delivered,
    Form,
    Message,
    Outcome,
    PluginManifest,
    PluginSettings,
    hookimpl,
)


class InboxSettings(PluginSettings):
    """One place where members read."""

    channel: Literal["inbox", "banner"] = Field(
        default="inbox",
        description="inbox: all messages, read one by one; banner: the place of a page for one message at a time",
    )


class KeptChannel(Channel):
    """Messages that stay until they are fetched."""

    form: Form = "note"
    kept = True
    batch_size = 100

    def __init__(self, name: str) -> None:
        self.name = name

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Nothing leaves: they are there already."""
        return [Delivered(result={"state": "delivered"}) for _ in messages]


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="inbox", summary="Messages that members read in an app or on the shop's pages.", settings=InboxSettings
    )


@hookimpl
async def connect(context: ConnectionContext[InboxSettings]) -> Capabilities:
    return Capabilities(channels=(KeptChannel(context.settings.channel),))
