from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stampcard.clock import to_micros
from stampcard.domain.ledger import ACCOUNTS
from stampcard.engine.versions import Programs
from stampcard.errors import ConfigurationError, ProgramError
from stampcard.program.reading import read_program
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.planning import StoredVersion
from stampcard.storage.programming import (
    load_programs,
    newest_versions,
    read_file,
    store_version,
    stored_versions,
    take_first_programs,
)
from stampcard.storage.revising import current

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {scale: 0}
  gems: {scale: 2}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points, when: order.total >= 20}
"""


def store(database: Database, text: str, now: datetime = NOW, merchant: str = "main") -> int:
    program = read_program(text, "program.yaml")
    return database.write_now(lambda c: store_version(c, merchant, program, text, "Ada", "a note", now))


def programs_of(database: Database, merchant: str = "main") -> Programs:
    return database.read_now(lambda connection: load_programs(connection, merchant))


def give_balance(database: Database, wallet: str) -> None:
    row = dict.fromkeys(ACCOUNTS, 0) | {
        "merchant": "main",
        "member": "m_1",
        "wallet": wallet,
        "entries": 1,
        "opened": 1,
        "booked_to": to_micros(NOW),
        "next_change_at": None,
    }
    database.write_now(lambda connection: saving.insert(connection, "balance", [row]))


def test_each_version_is_valid_from_the_moment_at_which_it_is_stored(database: Database) -> None:
    assert store(database, TEXT) == 1
    assert store(database, TEXT.replace("1 per 1", "2 per 1"), LATER) == 2
    programs = programs_of(database)
    before, first, second = (programs.valid_at("main", NOW + timedelta(seconds=s)) for s in (-1, 0, 86400))
    assert before is None
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (1, 2)
    assert programs.revision == 2


def test_the_newest_text_again_makes_no_version_and_tells_no_process(database: Database) -> None:
    store(database, TEXT)
    revision = database.read_now(lambda connection: current(connection, "main"))
    assert store(database, TEXT, LATER) == 1
    assert database.read_now(lambda connection: current(connection, "main")) == revision


def test_going_back_to_an_older_text_is_a_new_version(database: Database) -> None:
    texts = [TEXT, TEXT.replace("1 per 1", "2 per 1"), TEXT]
    assert [store(database, text, LATER) for text in texts] == [1, 2, 3]


def test_a_clock_that_was_set_back_makes_no_version_valid_before_the_one_it_replaces(database: Database) -> None:
    store(database, TEXT, LATER)
    store(database, TEXT + "# later", NOW)
    assert [version.valid_from for version in stored(database)] == [LATER, LATER]


def stored(database: Database) -> list[StoredVersion]:
    return list(database.read_now(lambda connection: stored_versions(connection, "main")))


def test_author_and_note_stay_with_the_version(database: Database) -> None:
    store(database, TEXT)
    newest = database.read_now(lambda connection: newest_versions(connection, "main"))["main"]
    assert (newest.author, newest.note, newest.source) == ("Ada", "a note", TEXT)


def test_a_wallet_belongs_to_one_program_of_a_merchant(database: Database) -> None:
    store(database, TEXT)
    other = TEXT.replace("program: main", "program: club")
    with pytest.raises(ProgramError) as caught:
        store(database, other)
    assert str(caught.value) == (
        "club:wallets.points: the program 'main' has a wallet of this name already\n"
        "club:wallets.gems: the program 'main' has a wallet of this name already"
    )
    assert store(database, other, merchant="second") == 1


def test_a_wallet_that_another_program_once_had_is_not_taken_over(database: Database) -> None:
    store(database, TEXT)
    store(database, TEXT.replace("  gems: {scale: 2}\n", ""), LATER)
    club = TEXT.replace("program: main", "program: club").replace("points", "coins")
    with pytest.raises(ProgramError, match=r"wallets\.gems"):
        store(database, club, LATER)


def test_a_wallet_with_balances_cannot_be_left_out(database: Database) -> None:
    store(database, TEXT)
    smaller = TEXT.replace("  gems: {scale: 2}\n", "")
    give_balance(database, "gems")
    with pytest.raises(ProgramError, match=r"main:wallets\.gems: members have balances in this wallet"):
        store(database, smaller, LATER)
    assert len(stored(database)) == 1


def test_a_wallet_with_balances_keeps_its_scale_even_after_a_version_without_it(database: Database) -> None:
    store(database, TEXT)
    store(database, TEXT.replace("  gems: {scale: 2}\n", ""), LATER)
    give_balance(database, "gems")
    with pytest.raises(ProgramError, match=r"wallets\.gems\.scale: .* stays 2"):
        store(database, TEXT.replace("scale: 2", "scale: 3"), LATER)


def test_an_empty_database_takes_the_files_once(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "program.yaml"
    file.write_text(TEXT)

    def take() -> int:
        return database.write_now(lambda connection: take_first_programs(connection, "main", [file], NOW))

    assert take() == 1
    file.write_text(TEXT + "# a draft")
    assert take() == 0
    assert [live.number for live in programs_of(database).current(NOW)] == [1]


def test_an_empty_database_without_files_says_what_to_do(database: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"programs: no file .* stampcard init"):
        database.write_now(lambda connection: take_first_programs(connection, "main", [], NOW))


def test_a_program_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml cannot be read \(No such file"):
        read_file(tmp_path / "absent.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ProgramError, match=r"odd\.yaml:is not text in UTF-8"):
        read_file(tmp_path / "odd.yaml")


def test_merchants_do_not_see_each_others_programs(database: Database) -> None:
    store(database, TEXT, merchant="one")
    assert programs_of(database, "two") == Programs()


def test_two_who_apply_at_once_make_two_versions(database: Database) -> None:
    store(database, TEXT)
    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(lambda rate: store(database, TEXT.replace("1 per", f"{rate} per"), LATER), (2, 3)))
    assert sorted(numbers) == [2, 3]
    assert [version.number for version in stored(database)] == [1, 2, 3]
