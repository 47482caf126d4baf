"""The weather at the customer's place: has(facts.weather) && facts.weather.raining."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from stampcard import plugin


class WeatherSettings(plugin.PluginSettings):
    api_url: str = "https://api.weather.example"


class Weather(plugin.FactSource):
    name, keep = "weather", timedelta(minutes=10)

    def __init__(self, context: plugin.ConnectionContext[WeatherSettings]) -> None:
        self._http, self._url = context.http, context.settings.api_url

    def key(self, event: plugin.Event, member: plugin.Member | None) -> str | None:  # noqa: ARG002 - the event's place is the member's
        return None if member is None else member.attributes.get("country")

    async def facts(self, key: str) -> Mapping[str, Any]:
        answer = await self._http.get(f"{self._url}/now", params={"country": key})
        answer.raise_for_status()
        now = answer.json()
        return {"raining": bool(now["rain"]), "degrees": float(now["degrees"])}


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="weather", summary="The weather, as facts", settings=WeatherSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[WeatherSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(facts=(Weather(context),))
