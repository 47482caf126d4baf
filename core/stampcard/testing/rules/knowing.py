from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from stampcard.plugin import FactSource
from stampcard.testing.rules.case import Case, Vendor
from stampcard.testing.rules.delivering import GARBAGE, LOST, UNSENT

PLAIN = (str, bool, int, float)


class KnowingRules(Case):
    """What the plugin knows of the world, for conditions that ask."""

    def test_its_facts_are_those_that_are_declared(self) -> None:
        """The connection's fact sources are called as the author says."""
        assert sorted(source.name for source in self._sources()) == sorted(self.facts)

    def test_the_same_occasion_has_the_same_key(self) -> None:
        """A key is a text or None, the same for the same event and member, and there is an answer for strangers too."""
        for source in self._sources():
            event, member = self.occasion()
            key = source.key(event, member)
            assert isinstance(key, str), f"{source.name}: the occasion has no key, so nothing can be tried"
            assert source.key(event, member) == key, f"{source.name}: the key changes"
            try:
                strange = source.key(event, None)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rule is broken
                pytest.fail(f"{source.name}: the key of a stranger: {type(error).__name__}")
            assert isinstance(strange, str | None), f"{source.name}: the key of a stranger is {strange!r}"

    def test_facts_are_plain_values(self) -> None:
        """Facts are names with text, numbers, true or false: conditions can compare nothing else."""
        for name, told in self._known(self.vendor).items():
            assert isinstance(told, Mapping), f"{name}: {told!r}"
            assert told, f"{name} knows nothing although the vendor is well"
            for fact, value in told.items():
                assert isinstance(fact, str), f"{name}: {fact!r} is no name"
                assert isinstance(value, PLAIN), f"{name}.{fact} is a {type(value).__name__}"

    def test_a_service_in_trouble_leads_to_no_facts(self) -> None:
        """When the vendor fails, answers garbage or cannot be reached, an exception says so: nothing is made up."""
        for vendor in (*map(answering, GARBAGE), *map(raising, (*LOST, *UNSENT)), busy):
            for name, told in self._known(vendor).items():
                assert isinstance(told, Exception), f"{name} knows {told!r} from a vendor in trouble"

    def _sources(self) -> tuple[FactSource, ...]:
        async def get() -> tuple[FactSource, ...]:
            async with self.visiting() as visit:
                return visit.capabilities.facts

        sources = self.run(get())
        if not sources and not self.facts:
            pytest.skip("knows no facts")
        return sources

    def _known(self, vendor: Vendor) -> dict[str, Any]:
        """What each source says for the occasion, or the exception that it raises."""
        self._sources()

        async def ask() -> dict[str, Any]:
            told: dict[str, Any] = {}
            async with self.visiting(vendor) as visit:
                for source in visit.capabilities.facts:
                    try:
                        told[source.name] = await source.facts(source.key(*self.occasion()) or "")
                    except Exception as error:  # noqa: BLE001 - that is how a source says that it does not know
                        told[source.name] = error
            return told

        return self.run(ask())


def answering(body: bytes) -> Vendor:
    """A vendor that answers with this, whatever it is asked."""
    return lambda _: httpx.Response(200, content=body)


def raising(error: type[httpx.TransportError]) -> Vendor:
    """A vendor that cannot be reached."""

    def vendor(request: httpx.Request) -> httpx.Response:
        raise error("the vendor cannot be reached", request=request)

    return vendor


def busy(_: httpx.Request) -> httpx.Response:
    """A vendor in trouble."""
    return httpx.Response(503, text="busy")
