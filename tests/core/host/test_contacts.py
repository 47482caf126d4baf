"""A connection to a CRM as the core sees it: who takes part, what is sent to it, and what it must be able to do."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.crms import DEFAULTS, Book, Records

from stampcard.host.connecting import _broken_contacts
from stampcard.host.contacts import Crm, sinks_of
from stampcard.plugin import Capabilities, Command, ContactSettings, PluginSettings, Unknown
from stampcard.testing.clock import FakeClock


def read(**settings: Any) -> ContactSettings:
    return ContactSettings.model_validate(settings)


def test_what_takes_part_is_all_that_holds_at_once() -> None:
    one = read(only=[{"field": "stage", "is": ["customer", "fan"]}, {"field": "country", "is": "DE"}])
    crm = Crm(name="crm", settings=one, pairs=())
    assert crm.takes_part({"stage": "fan", "country": "DE"})
    assert not crm.takes_part({"stage": "fan"})
    assert not crm.takes_part({"stage": "lead", "country": "DE"})
    assert Crm(name="crm", settings=read(), pairs=()).takes_part({})


def test_a_crm_knows_its_figures_its_lists_and_whether_it_makes_contacts() -> None:
    settings = read(segments={"friends": "1", "fans": "2"}, hold_lists=["2", "3"], make_contacts="none")
    crm = Crm(name="crm", settings=settings, pairs=settings.pairs(DEFAULTS))
    assert (sorted(crm.figures), crm.makes, sorted(crm.lists_read)) == (["member_id", "points"], False, ["1", "2", "3"])


def test_everything_that_is_sent_may_be_sent_twice() -> None:
    sinks = sinks_of(Book(FakeClock(), batch_size=7))
    assert [(sink.kind, sink.idempotent, sink.batch_size) for sink in sinks] == [
        ("contact", True, 7), ("contact_remove", True, 7), ("contact_erase", True, 7),
    ]  # fmt: skip
    assert {sink.pace() for sink in sinks} == {0.0}


async def test_contacts_are_put_away_or_forgotten_by_their_references() -> None:
    book = Book(FakeClock())
    _, removing, erasing = sinks_of(book)
    for sink in (removing, erasing):
        command = Command(kind=sink.kind, key=f"{sink.kind}:C1", member="", reference="C1")
        assert len(await sink.deliver([command])) == 1
        assert isinstance(await sink.lookup(command), Unknown), "it is simply done again"
    assert book.calls == [("remove", ("C1",)), ("erase", ("C1",))]


@pytest.mark.parametrize(
    ("able", "settings", "problem"),
    [
        ({}, read(), ""),
        ({"contacts": None}, PluginSettings(), ""),
        ({"fetch": None}, read(), "it has contacts, and no way to fetch one or to read what it fetched"),
        ({"webhook": None}, read(), "it has contacts, and no way to fetch one or to read what it fetched"),
        ({}, PluginSettings(), "it has contacts, and its settings are no ContactSettings"),
        ({}, read(fields={"last_name": "firstname"}), "fields: firstname cannot show both first_name and last_name"),
        ({}, read(fields={"last_name": "firstname", "first_name": False}), ""),
    ],
)
def test_a_connection_with_contacts_that_cannot_be_says_why(
    able: dict[str, Any], settings: PluginSettings, problem: str
) -> None:
    book = Book(FakeClock())
    parts = {"webhook": Records(), "contacts": book, "fetch": book.fetch, **able}
    assert _broken_contacts(Capabilities(**parts), settings) == problem
