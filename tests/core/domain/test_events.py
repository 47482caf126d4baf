from __future__ import annotations

from decimal import Decimal

from stampcard.domain.events import CustomerSeen, CustomEvent, plain_numbers
from stampcard.testing.building import NOON


def test_fractions_that_a_plugin_tells_become_numbers_that_rules_read() -> None:
    event = CustomEvent(
        name="reload",
        customer="7",
        key="1",
        occurred_at=NOON,
        data={"amount": Decimal("12.5"), "place": "here", "n": 3},
    )
    told = plain_numbers(event)
    assert isinstance(told, CustomEvent)
    assert told.data == {"amount": 12.5, "place": "here", "n": 3}
    assert isinstance(told.data["amount"], float)
    seen = plain_numbers(CustomerSeen(reference="7", occurred_at=NOON, attributes={"height": Decimal("1.75")}))
    assert isinstance(seen, CustomerSeen)
    assert seen.attributes == {"height": 1.75}


def test_an_event_without_fractions_stays_as_it_is() -> None:
    event = CustomEvent(name="visit", customer="7", key="1", occurred_at=NOON, data={"n": 3})
    assert plain_numbers(event) is event
