from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stampcard.clock import to_micros
from stampcard.domain.ledger import ACCOUNTS
from stampcard.engine.versions import Programs
from stampcard.errors import Conflict, ProgramError, RequestRefused
from stampcard.program.reading import read_program
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.planning import NEVER, StoredVersion, planned_versions, states, valid_version
from stampcard.storage.programming import (
    load_programs,
    revert_version,
    store_version,
    stored_versions,
    take_first_programs,
    withdraw_version,
)
from stampcard.storage.reading import empty_balances
from stampcard.storage.revising import current

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER, LAST = NOW + timedelta(days=30), NOW + timedelta(days=60)
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {scale: 0}
  gems: {scale: 2}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points}
"""
DOUBLE, TRIPLE = (TEXT.replace("1 per 1", f"{rate} per 1") for rate in (2, 3))
WITHOUT_GEMS = TEXT.replace("  gems: {scale: 2}\n", "")


def store(
    database: Database,
    text: str,
    now: datetime = NOW,
    *,
    valid_from: datetime | None = None,
    base: int | None = None,
    author: str = "Ada",
) -> int:
    program = read_program(text, "program.yaml")
    return database.write_now(
        lambda c: store_version(c, "main", program, text, author, "", now, valid_from=valid_from, base=base)
    )


def withdraw(database: Database, number: int, now: datetime = NOW) -> StoredVersion:
    return database.write_now(lambda c: withdraw_version(c, "main", "main", number, "Eve", now))


def stored(database: Database, *, withdrawn: bool = False) -> list[StoredVersion]:
    return list(database.read_now(lambda c: stored_versions(c, "main", withdrawn=withdrawn)))


def programs(database: Database) -> Programs:
    return database.read_now(lambda c: load_programs(c, "main"))


def valid(database: Database, now: datetime) -> list[int]:
    return [live.number for live in programs(database).current(now)]


def test_a_planned_version_is_valid_from_its_moment_on(database: Database) -> None:
    store(database, TEXT)
    assert store(database, DOUBLE, valid_from=LATER) == 2
    assert [valid(database, at) for at in (NOW, LATER - timedelta(seconds=1), LATER, LAST)] == [[1], [1], [2], [2]]
    versions = stored(database)
    assert states(versions, NOW) == {("main", 1): "valid", ("main", 2): "planned"}
    assert states(versions, LATER) == {("main", 1): "past", ("main", 2): "valid"}
    assert [one.number for one in planned_versions(versions, NOW)] == [2]
    assert valid_version(versions, NOW) == versions[0]
    assert valid_version(versions, NOW - timedelta(days=1)) is None


def test_a_program_that_only_begins_later_pays_and_shows_nothing_yet(database: Database) -> None:
    store(database, TEXT, valid_from=LATER)
    assert valid(database, NOW) == []
    assert empty_balances(programs(database), NOW) == {}
    assert set(empty_balances(programs(database), LATER)) == {"points", "gems"}


def test_a_wallet_that_is_only_planned_is_not_there_yet(database: Database) -> None:
    store(database, WITHOUT_GEMS)
    store(database, TEXT, valid_from=LATER)
    assert set(empty_balances(programs(database), NOW)) == {"points"}
    assert programs(database).of_wallet("gems", NOW) is None
    live = programs(database).of_wallet("points", NOW)
    assert live is not None
    assert live.number == 1


def test_no_version_begins_in_the_past_or_before_a_planned_one(database: Database) -> None:
    store(database, TEXT)
    with pytest.raises(RequestRefused, match="2026-02-28 12:00Z is past"):
        store(database, DOUBLE, valid_from=NOW - timedelta(days=1))
    with pytest.raises(RequestRefused, match="too far"):
        store(database, DOUBLE, valid_from=NEVER)
    store(database, DOUBLE, valid_from=LATER, author="Ben")
    for moment in (None, LATER - timedelta(seconds=1)):
        with pytest.raises(
            Conflict, match=r"version 2 by Ben of 2026-03-01 12:00Z is planned from 2026-03-31"
        ) as caught:
            store(database, TRIPLE, valid_from=moment)
        assert caught.value.code == "change_planned"
    assert store(database, TRIPLE, valid_from=LATER) == 3
    assert valid(database, LATER) == [3]


def test_the_same_text_is_not_valid_before_it_was_planned_to_be(database: Database) -> None:
    store(database, TEXT)
    store(database, DOUBLE, valid_from=LATER)
    assert store(database, DOUBLE, valid_from=LAST) == 2
    with pytest.raises(Conflict, match="planned"):
        store(database, DOUBLE)


def test_a_clock_that_was_set_back_plans_nothing(database: Database) -> None:
    store(database, TEXT, LATER)
    assert store(database, DOUBLE, NOW) == 2
    assert store(database, TRIPLE, NOW) == 3
    assert [version.valid_from for version in stored(database)] == [LATER] * 3


def test_a_planned_version_is_withdrawn_and_its_number_is_never_given_again(database: Database) -> None:
    store(database, TEXT)
    store(database, DOUBLE, valid_from=LATER)
    revision = database.read_now(lambda c: current(c, "main"))
    assert withdraw(database, 2).valid_from == LATER
    assert database.read_now(lambda c: current(c, "main")) == revision + 1
    assert valid(database, LAST) == [1]
    gone = stored(database, withdrawn=True)[1]
    assert (gone.number, gone.is_withdrawn) == (2, True)
    assert gone.note == "withdrawn by Eve on 2026-03-01 12:00Z, was planned from 2026-03-31 12:00Z on"
    assert states(stored(database, withdrawn=True), LAST) == {("main", 1): "valid", ("main", 2): "withdrawn"}
    assert store(database, TRIPLE) == 3
    assert [live.number for live in programs(database).versions["main"]] == [1, 3]
    numbered = programs(database).numbered("main", 3)
    assert numbered is not None
    assert numbered.number == 3


def test_what_is_or_was_valid_or_begins_at_any_moment_stays(database: Database) -> None:
    store(database, TEXT)
    store(database, DOUBLE, valid_from=LATER)
    for number, now in ((1, NOW), (2, LATER), (2, LAST), (2, LATER - timedelta(minutes=5))):
        with pytest.raises(Conflict) as caught:
            withdraw(database, number, now)
        assert caught.value.code == "already_valid"
    withdraw(database, 2)
    with pytest.raises(Conflict, match="withdrawn already"):
        withdraw(database, 2)


def test_an_empty_database_takes_its_files_although_a_plan_was_withdrawn(database: Database, tmp_path: Path) -> None:
    (tmp_path / "program.yaml").write_text(TEXT)

    def take() -> int:
        return database.write_now(lambda c: take_first_programs(c, "main", [tmp_path / "program.yaml"], NOW))

    store(database, DOUBLE, valid_from=LATER)
    assert take() == 0
    withdraw(database, 1)
    assert take() == 1
    assert valid(database, NOW) == [2]


def test_whoever_changed_something_meanwhile_is_named(database: Database) -> None:
    assert store(database, TEXT, base=0) == 1
    with pytest.raises(Conflict, match="changed since version 0: version 1 by Ada"):
        store(database, DOUBLE, base=0)
    store(database, DOUBLE, author="Ben")
    store(database, TRIPLE, valid_from=LATER, author="Eve")
    with pytest.raises(Conflict) as caught:
        store(database, TEXT, valid_from=LAST, base=1)
    assert caught.value.code == "changed_meanwhile"
    assert caught.value.detail == (
        "changed since version 1: version 2 by Ben of 2026-03-01 12:00Z; "
        "version 3 by Eve of 2026-03-01 12:00Z, planned from 2026-03-31 12:00Z on"
    )
    withdraw(database, 3)
    with pytest.raises(Conflict, match="version 3 does not stand any more: the newest is version 2 by Ben"):
        store(database, TEXT, base=3)
    assert store(database, TEXT, base=2) == 4


def test_an_old_text_is_made_the_newest_again(database: Database) -> None:
    for text in (TEXT, DOUBLE):
        store(database, text)

    def revert(number: int) -> int:
        return database.write_now(lambda c: revert_version(c, "main", "main", number, "Ada", "", LATER))

    assert revert(1) == 3
    assert revert(1) == 3
    newest = stored(database)[-1]
    assert (newest.source, newest.note, newest.valid_from) == (TEXT, "back to version 1", LATER)


def test_a_planned_version_keeps_every_wallet_that_may_fill_until_then(database: Database) -> None:
    store(database, TEXT)
    with pytest.raises(ProgramError, match=r"wallets\.gems: until then members may have balances"):
        store(database, WITHOUT_GEMS, valid_from=LATER)
    with pytest.raises(ProgramError, match=r"wallets\.gems\.scale: until then members may have .* stays 2"):
        store(database, TEXT.replace("scale: 2", "scale: 3"), valid_from=LATER)
    assert store(database, WITHOUT_GEMS) == 2
    assert store(database, WITHOUT_GEMS + "# later", valid_from=LATER) == 3


def test_balances_count_by_the_newest_version_that_has_their_wallet(database: Database) -> None:
    store(database, TEXT)
    store(database, WITHOUT_GEMS, LATER)
    row = dict.fromkeys(ACCOUNTS, 0) | {
        "merchant": "main",
        "member": "m_1",
        "wallet": "gems",
        "entries": 1,
        "opened": 1,
    }
    row |= {"booked_to": to_micros(NOW), "next_change_at": None}
    # A late order may still earn what only an older version pays.
    database.write_now(lambda c: saving.insert(c, "balance", [row]))
    live = programs(database).of_wallet("gems")
    assert live is not None
    assert live.program.wallets["gems"].scale == 2
