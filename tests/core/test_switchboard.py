"""Connections come, change and go while everything else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from stampcard.app import Application
from stampcard.domain.commands import BalancePush
from stampcard.plugin import Capabilities, ConnectionContext, Delivered, PluginManifest, PluginSettings, Sink, hookimpl
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.plugging import Plugged, remove_plugged, save_plugged
from stampcard.testing.clock import FakeClock


class Till(PluginSettings):
    color: str = "red"


class Slow(Sink[BalancePush]):
    kind = "balance"

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Delivered]:
        return [Delivered() for _ in items]


class Tills:
    """A plugin that remembers what it was connected with."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, str]] = []

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="tills", summary="tills", settings=Till)

    @hookimpl
    async def connect(self, context: ConnectionContext[Till]) -> Capabilities:
        self.connected.append((context.name, context.settings.color))
        return Capabilities(sinks=(Slow(),))


@pytest.fixture
async def running(tmp_path: Any) -> Any:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    (tmp_path / "program.yaml").write_text("program: main\ncurrency: EUR\ntimezone: UTC\nwallets: {points: {}}\n")
    settings = Settings(
        database=f"sqlite:///{tmp_path / 'stampcard.db'}",
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        http=HttpSettings(port=0),
        connections={"first": {"plugin": "tills"}},
    )
    tills = Tills()
    application = Application(settings, plugins={"tills": tills})
    await application.open()
    yield application, tills
    await application.close()


async def save(application: Application, name: str, **settings: Any) -> None:
    now = FakeClock().now()
    one = Plugged(name=name, plugin="tills", settings=settings, added_at=now, changed_at=now)
    sealer = application.setting.sealer
    await application.database.write(lambda connection: save_plugged(connection, "main", sealer, one))


async def remove(application: Application, name: str) -> None:
    setting, now = application.setting, FakeClock().now()
    await application.database.write(
        lambda connection: remove_plugged(connection, "main", setting.sealer, setting.numbering, name, now)
    )


async def until(condition: Any) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def test_a_running_process_plugs_in_what_is_added_and_leaves_the_others_alone(running: Any) -> None:
    application, tills = running
    before = application.dispatchers["first"]
    await save(application, "second", color="blue")
    await until(lambda: "second" in application.dispatchers)
    assert tills.connected == [("first", "red"), ("second", "blue")]
    assert application.dispatchers["first"] is before
    assert application.setting.targets == {"first": ("balance",), "second": ("balance",)}
    await save(application, "second", color="green")
    await until(lambda: tills.connected[-1] == ("second", "green"))
    await remove(application, "second")
    await until(lambda: "second" not in application.connections)
    assert set(application.dispatchers) == {"first"}
    assert application.dispatchers["first"] is before
    assert application.setting.targets == {"first": ("balance",)}


async def test_what_does_not_fit_beside_the_settings_file_is_left_out(running: Any) -> None:
    application, tills = running
    await save(application, "first", color="blue")
    await save(application, "second")
    await until(lambda: "second" in application.dispatchers)
    assert ("first", "blue") not in tills.connected
    broken = application.settings.with_plugged({"third": {"plugin": "tills", "orders_of": "nobody"}})
    assert set(broken.connections) >= {"first"}
    assert "third" not in broken.connections
