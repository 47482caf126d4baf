"""A plugin that only knows facts keeps the contract, too."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import stampcard_weather

from stampcard.plugin import Event, Member, OrderSeen
from stampcard.testing.building import NOON, order
from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install

PROJECT = Path(__file__).parent / "stampcard-weather"


@pytest.fixture(autouse=True)
def _discoverable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PROJECT, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


class TestWeather(PluginContract):
    plugin = stampcard_weather
    settings = {}  # noqa: RUF012 - a declaration, never changed
    facts = ("weather",)

    def vendor(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"rain": True, "degrees": 11})

    def occasion(self) -> tuple[Event, Member]:
        return OrderSeen(reference="A1", snapshot=order(10)), Member(
            id="m_1", joined_at=NOON, attributes={"country": "GB"}
        )
