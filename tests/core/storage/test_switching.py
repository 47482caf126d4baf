from datetime import UTC, datetime

import pytest

from stampcard.engine.versions import Programs, assembled, compiled
from stampcard.errors import Conflict, NotFound
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.programming import load_programs
from stampcard.storage.revising import current
from stampcard.storage.stating import load_states, set_state
from stampcard.storage.switching import (
    GOES_ON,
    KINDS,
    Switch,
    find_target,
    known_targets,
    list_switches,
    start,
    stop,
)
from stampcard.testing.clock import NOON, FakeClock

CLOCK = FakeClock()
TEXT = """
program: {name}
currency: EUR
timezone: Europe/Berlin
wallets: {{{wallet}: {{}}}}
campaigns: {{summer: {{}}}}
rules:
  - {{id: {rule}, on: purchase, award: 1 per 1 EUR}}
  - {{id: welcome, on: sign_up, award: 1, campaign: summer}}
"""


def two_programs() -> Programs:
    texts = [("main", "points", "purchase"), ("club", "coins", "visits")]
    read = [read_program(TEXT.format(name=name, wallet=wallet, rule=rule), "t") for name, wallet, rule in texts]
    return assembled([compiled(program, 1, datetime(2020, 1, 1, tzinfo=UTC)) for program in read], 0)


KNOWN = known_targets(two_programs(), ["weather"], ["shop"])


def stopped(database: Database, target: str, note: str = "a mistake") -> bool:
    return database.write_now(lambda connection: stop(connection, "main", target, note, "Ada", CLOCK))


def started(database: Database, target: str) -> bool:
    return database.write_now(lambda connection: start(connection, "main", target, CLOCK))


def listed(database: Database, merchant: str = "main") -> list[Switch]:
    return database.read_now(lambda connection: list_switches(connection, merchant))


def revision(database: Database) -> int:
    return database.read_now(lambda connection: current(connection, "main"))


def test_what_is_stopped_is_listed_with_who_and_why_and_told_to_every_process(database: Database) -> None:
    assert stopped(database, "rule:main/purchase")
    assert listed(database) == [Switch(target="rule:main/purchase", note="a mistake", author="Ada", since=NOON)]
    assert (listed(database)[0].kind, listed(database)[0].name) == ("rule", "main/purchase")
    programs = database.read_now(lambda connection: load_programs(connection, "main"))
    assert (programs.revision, list(programs.stopped)) == (1, ["rule:main/purchase"])
    assert listed(database, "another") == []


def test_stopping_or_starting_twice_changes_nothing_more(database: Database) -> None:
    assert stopped(database, "program:main", "first")
    assert not stopped(database, "program:main", "second")
    assert ([one.note for one in listed(database)], revision(database)) == (["first"], 1)
    assert started(database, "program:main")
    assert not started(database, "program:main")
    assert (listed(database), revision(database)) == ([], 2)


def test_a_connection_has_one_state_however_it_is_stopped(database: Database) -> None:
    assert stopped(database, "connection:shop", "moving house")
    (row,) = database.read_now(lambda connection: load_states(connection, "main"))
    assert (row.connection, row.state, row.reason) == ("shop", "paused", "moving house")
    assert not stopped(database, "connection:shop", "again")
    assert [(one.target, one.note) for one in listed(database)] == [("connection:shop", "moving house")]
    assert started(database, "connection:shop")
    assert not started(database, "connection:shop")
    assert listed(database) == []


def test_a_connection_that_ended_cannot_be_stopped_but_started(database: Database) -> None:
    database.write_now(lambda connection: set_state(connection, "main", "shop", "ended", "removed", CLOCK))
    with pytest.raises(Conflict, match="ended"):
        stopped(database, "connection:shop")
    assert started(database, "connection:shop")


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        ("program", "main", "program:main"),
        ("rule", "main/purchase", "rule:main/purchase"),
        ("rule", "purchase", "rule:main/purchase"),
        ("campaign", "club/summer", "campaign:club/summer"),
        ("plugin", "weather", "plugin:weather"),
        ("connection", "shop", "connection:shop"),
    ],
)
def test_a_target_is_found_by_its_name_alone_where_only_one_program_has_it(kind: str, name: str, target: str) -> None:
    assert find_target(kind, name, KNOWN) == target


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("rule", "purchas", "there is no rule 'purchas'. Did you mean 'purchase'?"),
        ("rule", "main/visit", "there is no rule 'main/visit'. Did you mean 'visits'?"),
        ("program", "mian", "there is no program 'mian'. Did you mean 'main'?"),
        ("plugin", "shopify", "there is no plugin 'shopify'"),
        ("rul", "purchase", "there is no kind of switch 'rul'. Did you mean 'rule'?"),
    ],
)
def test_an_unknown_target_is_told_with_the_closest_there_is(kind: str, name: str, said: str) -> None:
    with pytest.raises(NotFound) as caught:
        find_target(kind, name, KNOWN)
    assert str(caught.value) == said


def test_a_name_that_several_programs_have_is_asked_back() -> None:
    with pytest.raises(Conflict, match="say club/welcome or main/welcome"):
        find_target("rule", "welcome", KNOWN)


def test_every_kind_says_what_goes_on() -> None:
    assert GOES_ON.keys() == set(KINDS)
