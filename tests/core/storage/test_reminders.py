"""Members whose days come are found by the index of the date, page after page, and each of them once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.core.storage.test_plans import BY_MERCHANT, plans_of

from stampcard.applying.celebrating import celebrated
from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.engine.announcing import Planned
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.program.reading import read_program
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.messages import known_occasions
from stampcard.storage.reminders import FINDERS, Due, Look, customers, last_purchases
from stampcard.testing.building import LONG_AGO

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: UTC
wallets: {points: {expire: 12 months}, stars: {expire: 12 months}}
"""
DAY, NOW = date(2026, 3, 20), datetime(2026, 3, 10, 12, tzinfo=UTC)
NOON, MIDNIGHT = to_micros(datetime(2026, 3, 20, 12, tzinfo=UTC)), to_micros(datetime(2026, 3, 21, tzinfo=UTC))
#: Which index finds what.
INDEXES = {
    "points_expire": "ix_lot_expires_at (merchant=? AND wallet=? AND ",
    "reward_expires": "ix_redemption_due_at (merchant=? AND ",
    "reward_issued": "ix_redemption_created_at (merchant=? AND ",
    "tier_ends": "ix_tier_until (merchant=? AND program=? AND ",
    "plan_ends": "ix_plan_next_at (merchant=? AND ",
    "perk_ends": "ix_perk_next_at (merchant=? AND ",
    "sign_up": "ix_membership_joined_at (merchant=? AND program=? AND ",
    "purchase": "ix_order_state_occurred_at (merchant=? AND ",
    "last_purchase": "ix_order_state_occurred_at (merchant=? AND ",
}
#: What is behind the date in the place.
REST = {"points_expire": 1, "plan_ends": 2, "perk_ends": 2, "purchase": 2, "last_purchase": 2}


@pytest.fixture
def sqlite(new_sqlite: Callable[[], str]) -> Database:
    return Database(new_sqlite())


@pytest.fixture(scope="module")
def live() -> LiveProgram:
    return compiled(read_program(PROGRAM, "test"), 1, LONG_AGO)


def look(live: LiveProgram, after: str = "", limit: int = 500) -> Look:
    return Look("main", live, DAY, DAY, NOW, after, limit)


def pages(connection: Connection, event: str, live: LiveProgram, limit: int) -> list[Sequence[Due]]:
    """Everything that is found, page by page."""
    found: list[Sequence[Due]] = []
    after = ""
    while page := FINDERS[event](connection, look(live, after, limit)):
        found.append(page)
        after = page[-1].place
    return found


def rows_of(count: int, at: int, *, spread: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table that days are found in: as many members, who all have the same day, or one day each."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("member", "membership", "lot", "redemption", "tier", "plan", "perk", "order_state")
    }
    for number in range(count):
        moment, id_ = at + spread * number, f"m{number:05}"
        mine = {"merchant": "main", "member": id_}
        of = {**mine, "program": "main"}
        rows["member"].append(
            {"merchant": "main", "id": id_, "joined_at": 0, "birthday_print": f"p{number % 366}" if spread else "p"}
        )
        rows["membership"].append({**of, "joined_at": moment, "anniversary": "03-20" if number % 2 else "06-01"})
        rows["lot"] += [
            {**mine, "wallet": wallet, "number": nth, "amount": 5, "remaining": 5, "active": 1, "available_from": 0,
             "expires_at": moment, "occurred_at": 0, "subject": ""}
            for wallet in ("points", "stars") for nth in range(2)
        ]  # fmt: skip
        rows["redemption"].append(
            {**of, "id": f"r{number}", "version": 1, "reward": "mug", "kind": "voucher", "gives": "", "by": "own",
             "status": "issued", "created_at": moment, "due_at": moment}
        )  # fmt: skip
        rows["tier"].append({**of, "name": "gold", "since": 0, "until": moment, "state": "{}"})
        rows["plan"].append({**of, "name": "plus", "active": 1, "next_at": moment, "state": "{}"})
        rows["perk"].append({**of, "name": "lounge", "has": 1, "next_at": moment, "state": "{}"})
        rows["order_state"].append(
            {**mine, "source": "shop", "reference": f"O{number}", "first_seen_at": 0, "updated_at": 0, "state": "{}",
             "occurred_at": moment, "spend": 10_000, "currency": "EUR"}
        )  # fmt: skip
    return rows


def fill(connection: Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    for name, of in rows.items():
        saving.insert(connection, name, of)


@pytest.mark.parametrize("event", [*INDEXES, "program_ends"])
def test_whoever_has_a_day_together_with_many_is_found_once(database: Database, live: LiveProgram, event: str) -> None:
    at = MIDNIGHT if event.endswith(("_ends", "_expires", "_expire")) else NOON

    def work(connection: Connection) -> list[Sequence[Due]]:
        fill(connection, rows_of(7, at))
        return pages(connection, event, live, 3)

    found = database.write_now(work)
    wallets = 2 if event == "points_expire" else 1
    assert all(len(page) <= 3 for page in found)
    told = [(one.member, one.what) for page in found for one in page]
    assert len(told) == len(set(told)) == 7 * wallets
    assert {member for member, _ in told} == {f"m{number:05}" for number in range(7)}


@pytest.mark.parametrize("event", INDEXES)
def test_only_that_day_is_looked_at(database: Database, live: LiveProgram, event: str) -> None:
    ends = event.endswith(("_ends", "_expires", "_expire"))
    day = 86_400_000_000

    def work(connection: Connection) -> list[Sequence[Due]]:
        # Of three days; what ends at a midnight is of the day before it.
        fill(connection, rows_of(3, (MIDNIGHT if ends else NOON) - day, spread=day))
        return pages(connection, event, live, 10)

    assert {one.member for page in database.write_now(work) for one in page} == {"m00001"}


@pytest.mark.parametrize("event", INDEXES)
def test_the_next_page_is_sought_by_the_date_and_the_place(sqlite: Database, live: LiveProgram, event: str) -> None:
    def ask(connection: Connection) -> None:
        fill(connection, rows_of(10, NOON))
        first = FINDERS[event](connection, look(live, limit=3))
        assert len(first) == 3
        FINDERS[event](connection, look(live, first[-1].place))

    plans = plans_of(sqlite, ask)
    sqlite.close()
    assert len(plans) >= 2
    assert [plan for plan in plans if INDEXES[event] not in plan] == []
    assert any(f"{',?' * REST.get(event, 1)})" in plan for plan in plans), plans


def test_everybody_is_gone_through_in_the_order_of_an_index(sqlite: Database, live: LiveProgram) -> None:
    def ask(connection: Connection) -> None:
        fill(connection, rows_of(10, NOON))
        FINDERS["program_ends"](connection, look(live))
        FINDERS["program_ends"](connection, look(live, f'[{NOON},"m00003"]'))
        customers(connection, look(live, '["m00003"]'))

    *plans, walked, _, asked = plans_of(sqlite, ask)
    sqlite.close()
    assert len(plans) == 2
    assert [
        plan for plan in plans if "COVERING INDEX ix_membership_joined_at (merchant=? AND program=?" not in plan
    ] == []
    assert walked.endswith("(merchant=? AND id>?)")
    assert asked.endswith("(merchant=? AND member=? AND program=?)")


@pytest.mark.parametrize(
    ("on", "index"), [("birthday", "ix_member_birthday_print"), ("anniversary", "ix_membership_anniversary")]
)
@pytest.mark.parametrize("day", [DAY, date(2026, 2, 28)])
def test_birthdays_and_anniversaries_are_sought_by_their_days(
    sqlite: Database, live: LiveProgram, setting: Setting, on: str, index: str, day: date
) -> None:
    plans = plans_of(sqlite, lambda connection: celebrated(connection, setting, live, on, day, "m00003", 500))
    sqlite.close()
    sought = [plan for plan in plans if plan.startswith("SEARCH") and "member=? AND program=?" not in plan]
    assert len(sought) == (1 if day == DAY else 2)
    assert [plan for plan in sought if index not in plan] == []


def test_last_purchases_are_read_in_the_index_of_their_member(sqlite: Database) -> None:
    plans = plans_of(sqlite, lambda connection: last_purchases(connection, "main", ["m00001", "m00002"]))
    sqlite.close()
    assert any("ix_order_state_member (merchant=? AND member=?" in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN") or plan.endswith(BY_MERCHANT)] == []


def test_what_was_told_already_is_sought_by_the_whole_key(sqlite: Database) -> None:
    one = Planned(
        program="main", name="hello", member="m", channel="email", connection="mail", purpose="transactional",
        occasion="sign_up:m:main", due_at=NOW, until=None, says={},
    )  # fmt: skip
    (plan,) = plans_of(sqlite, lambda connection: known_occasions(connection, "main", [one]))
    sqlite.close()
    assert "COVERING INDEX uq_message_occasion (merchant=? AND program=? AND name=? AND occasion=?)" in plan
