"""A plugin that is stopped: what needs its word on points waits, and is done once it is started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import ModuleType

from sqlalchemy import select

from stampcard.applying.setting import Setting
from stampcard.domain.events import OrderSeen
from stampcard.host.discovering import discover
from stampcard.host.hooks import Hooks
from stampcard.plugin import Adjustment, Award, PluginManifest, PluginSettings, hookimpl
from stampcard.storage.database import Database
from stampcard.storage.tables import award, inbox
from stampcard.testing.applying import apply, prepare, rows, store
from stampcard.testing.building import order


def generous() -> Hooks:
    """A plugin that adds a point to each award."""
    module = ModuleType("generous")

    def plugin_manifest() -> PluginManifest:
        return PluginManifest(name="generous", summary="for tests", settings=PluginSettings)

    def award_adjustments(award: Award) -> Iterator[Adjustment]:
        yield Adjustment(points=Decimal(1), reason=award.rule)

    module.plugin_manifest = hookimpl(plugin_manifest)  # type: ignore[attr-defined]
    module.award_adjustments = hookimpl(award_adjustments)  # type: ignore[attr-defined]
    return Hooks(discover({"generous": module}, entries=()))


def test_a_delivery_waits_for_a_stopped_plugin_and_is_applied_once_it_is_started(
    database: Database, setting: Setting
) -> None:
    hooks = generous()
    setting = replace(setting, hooks=hooks)
    (delivery,) = store(database, setting, b"{}")
    prepared = prepare(delivery, OrderSeen(reference="A", snapshot=order(60)))

    hooks.stop(frozenset({"generous"}))
    (waits,) = apply(database, setting, [prepared])
    assert (waits.status, waits.code) == ("later", "PluginSuspended")
    assert waits.detail == "plugin 'generous': is stopped: what needs it waits for a start"
    (row,) = rows(database, select(inbox))
    assert (row.status, row.attempts) == ("ready", 0)
    assert rows(database, select(award)) == []

    hooks.stop(frozenset())
    (done,) = apply(database, setting, [prepared])
    assert done.status == "done"
    assert [one.granted for one in rows(database, select(award))] == [61]
