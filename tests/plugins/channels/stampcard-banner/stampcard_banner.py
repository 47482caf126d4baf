"""A place on the shop's pages: messages are kept, and fetched where the page is shown."""

from collections.abc import Sequence

from stampcard import plugin


class BannerSettings(plugin.PluginSettings):
    """Nothing is to be set."""


class Banner(plugin.Channel):
    name, form, kept, batch_size = "banner", "note", True, 50

    async def send(self, messages: Sequence[plugin.Message]) -> Sequence[plugin.Outcome]:
        return [plugin.Delivered(result={"state": "delivered"}) for _ in messages]


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="banner", summary="Messages on the shop's pages", settings=BannerSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[BannerSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(channels=(Banner(),))
