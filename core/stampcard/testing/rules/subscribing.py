from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stampcard.plugin import Audit, Listings, PluginError
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import Case, Vendor
from stampcard.testing.rules.delivering import GARBAGE, LOST, UNSENT
from stampcard.testing.rules.knowing import answering, busy, raising

#: Where the vendor is to send.
HERE = "https://loyalty.example/webhooks/contract"


class SubscribingRules(Case):
    """What the plugin asks the vendor about webhooks that it sends, and orders that it has."""

    def test_a_vendor_in_trouble_is_no_audit(self) -> None:
        """When the vendor fails, answers garbage or cannot be reached, a PluginError says so, and shows no secret."""
        for vendor in (*map(answering, GARBAGE), *map(raising, (*LOST, *UNSENT)), busy):
            for name, told in self._asked(vendor).items():
                assert isinstance(told, PluginError), f"{name} answers {told!r} from a vendor in trouble"
                for secret in (*self.secrets, *self.credentials):
                    assert secret not in str(told), f"{name} shows a secret"

    def test_a_vendor_in_trouble_lists_no_orders(self) -> None:
        """When the vendor fails, answers garbage or cannot be reached, a PluginError says so: no order is made up or left out."""
        for vendor in (*map(answering, GARBAGE), *map(raising, (*LOST, *UNSENT)), busy):
            told = self._listed(vendor)
            assert isinstance(told, PluginError), f"the list is {told!r} from a vendor in trouble"
            for secret in (*self.secrets, *self.credentials):
                assert secret not in str(told), "the list shows a secret"

    def _listed(self, vendor: Vendor) -> Listings | Exception:
        async def ask() -> Listings | Exception | None:
            async with self.visiting(vendor) as visit:
                if visit.capabilities.orders is None:
                    return None
                try:
                    return await visit.capabilities.orders.changed(NOON)
                except Exception as error:  # noqa: BLE001 - which one it is decides
                    return error

        found = self.run(ask())
        if found is None:
            pytest.skip("lists no orders")
        return found

    def _asked(self, vendor: Vendor) -> Mapping[str, Audit | int | Exception]:
        async def ask() -> dict[str, Any] | None:
            told: dict[str, Any] = {}
            async with self.visiting(vendor) as visit:
                subscriptions = visit.capabilities.subscriptions
                if subscriptions is None:
                    return None
                for name in ("look", "mend", "end"):
                    try:
                        told[name] = await getattr(subscriptions, name)(HERE)
                    except Exception as error:  # noqa: BLE001 - which one it is decides
                        told[name] = error
            return told

        found = self.run(ask())
        if found is None:
            pytest.skip("asks nothing about webhooks")
        return found
