from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stampcard.plugin import Delivery, HistoryPage, OrderHistory, PluginError
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import CONNECTION, Case, Vendor, Visit
from stampcard.testing.rules.delivering import GARBAGE, LOST, UNSENT
from stampcard.testing.rules.knowing import answering, busy, raising

#: So many pages are read before nobody believes that there is an end.
MANY = 50
_NONE = "reads no past"


class RecallingRules(Case):
    """What the plugin reads of the vendor's past."""

    def test_a_vendor_in_trouble_has_no_past(self) -> None:
        """When the vendor fails, answers garbage or cannot be reached, a PluginError says so: no order is made up, none left out."""
        for vendor in (*map(answering, GARBAGE), *map(raising, (*LOST, *UNSENT)), busy):
            for name, told in self._tried(vendor).items():
                assert isinstance(told, PluginError), f"{name} answers {told!r} from a vendor in trouble"
                for secret in (*self.secrets, *self.credentials):
                    assert secret not in str(told), f"{name} shows a secret"

    def test_a_place_in_the_past_that_is_read_twice_brings_the_same(self) -> None:
        """Each place brings the same orders under the same keys however often it is read, and leads to another one or the end."""
        self.run(self._read_twice())

    async def _read_twice(self) -> None:
        async with self.visiting() as visit:
            history = _history(visit)
            place, places = "", set[str]()
            for _ in range(MANY):
                first, second = await history.read(NOON, place), await history.read(NOON, place)
                assert _content(first) == _content(second), f"{place!r} brings other orders when it is read again"
                for delivery in first.deliveries:
                    self._check(delivery)
                places.add(place)
                if not first.place:
                    return
                assert first.wait > 0 or first.place not in places, (
                    f"{place!r} leads back to {first.place!r}, without a wait"
                )
                await visit.clock.sleep(max(first.wait, history.pace()))
                place = first.place
            pytest.fail(f"the past has no end: {MANY} pages were read")

    def _check(self, delivery: Delivery) -> None:
        assert delivery.connection == CONNECTION, "a delivery of the past is of another connection"
        assert delivery.read_at > 0, "a delivery of the past does not say when it was read: read_at"
        assert delivery.topic in self.fetched, f"{delivery.topic!r} is not among the topics that are fetched"

    def _tried(self, vendor: Vendor) -> Mapping[str, Any]:
        async def ask() -> dict[str, Any]:
            told: dict[str, Any] = {}
            async with self.visiting(vendor) as visit:
                history = _history(visit)
                for name in ("count", "read"):
                    try:
                        told[name] = await getattr(history, name)(NOON)
                    except Exception as error:  # noqa: BLE001 - which one it is decides
                        told[name] = error
            return told

        return self.run(ask())


def _history(visit: Visit) -> OrderHistory:
    if visit.capabilities.history is None:
        pytest.skip(_NONE)
    return visit.capabilities.history


def _content(page: HistoryPage) -> tuple[Any, ...]:
    return page.place, [(one.key, one.topic, one.body) for one in page.deliveries]
