"""A connection to an advertiser as the core sees it: what it must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.core.audience import Board

from stampcard.app import _kinds
from stampcard.domain.commands import AUDIENCE, PASS, STATES
from stampcard.host.connecting import Connection, _broken_audience
from stampcard.plugin import (
    AudiencePush,
    AudienceSettings,
    Capabilities,
    Delivered,
    Outcome,
    PassSettings,
    PluginSettings,
    Sink,
)


class Plain(Sink[AudiencePush]):
    kind = AUDIENCE

    async def deliver(self, items: Sequence[AudiencePush]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class Odd(Board):
    hashes = ("shoe_size",)  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("sinks", "settings", "problem"),
    [
        ((), PluginSettings(), ""),
        ((Board(),), AudienceSettings(), ""),
        ((Board(),), PluginSettings(), "it has audiences, and its settings are no AudienceSettings"),
        ((Plain(),), AudienceSettings(), "its sink Plain is of kind 'audience', and no AudienceSink"),
        ((Odd(),), AudienceSettings(), "its audiences want no hashes that there are: ('shoe_size',)"),
    ],
)
def test_a_connection_with_audiences_that_cannot_be_says_why(
    sinks: Any, settings: PluginSettings, problem: str
) -> None:
    assert _broken_audience(Capabilities(sinks=sinks), settings) == problem


def test_a_connection_that_could_not_connect_is_owed_what_its_settings_are_for() -> None:
    shop = Connection(name="shop", plugin="shop", settings=PluginSettings(), problem="no")
    ads = Connection(name="ads", plugin="board", settings=AudienceSettings(), problem="no")
    phone = Connection(name="phone", plugin="pocket", settings=PassSettings(), problem="no")
    common = tuple(kind for kind in STATES if kind not in {AUDIENCE, PASS})
    assert (_kinds(shop), _kinds(ads), _kinds(phone)) == (common, (*common, AUDIENCE), (*common, PASS))
