"""Files are brought in step by step, each of which counts once, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.databases import on_sqlite

from stampcard.applying import importing
from stampcard.applying.erasing import erase_members
from stampcard.applying.requests import change_attributes, create_member
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerSeen, OrderSeen
from stampcard.errors import Conflict, NotFound
from stampcard.importing import running
from stampcard.importing.files import look
from stampcard.importing.options import Options, same_file, supposed
from stampcard.importing.running import Importer
from stampcard.storage import saving
from stampcard.storage.chronicling import timeline
from stampcard.storage.database import Database
from stampcard.storage.exporting import export_member
from stampcard.storage.importing import load_intake
from stampcard.storage.tables import entry, event, identity, imported, lot, member, membership, outbox, push, tier
from stampcard.testing.applying import rows, tell
from stampcard.testing.building import order
from stampcard.testing.importing import Desk

HEADER = "kind,reference,email,first_name,points,available_from,expires,tier,tier_until,at,note,code,friend,joined"


def line(kind: str = "member", **cells: Any) -> str:
    return ",".join(str(cells.get(name, kind if name == "kind" else "")) for name in HEADER.split(","))


def work(desk: Desk, act: Callable[[Unit], Any]) -> Any:
    def transaction(connection: Connection) -> Any:
        unit = Unit(connection, desk.setting, desk.clock.now())
        given = act(unit)
        unit.save()
        return given

    return desk.database.write_now(transaction)


async def test_members_come_with_points_dates_tier_and_history(desk: Desk) -> None:
    intake = await desk.bring(
        HEADER,
        line(reference="1", email="ann@example.com", first_name="Ann", joined="2024-02-03", tier="gold", tier_until="2026-12-31"),
        line("lot", reference="1", points=30, expires="2026-05-31"),
        line("lot", email="ann@example.com", points=70, available_from="2026-04-01", expires="2026-12-31"),
        line("history", reference="1", points=-40, at="2025-01-01", note="A mug"),
        line("referral", reference="1", code="ANN10", friend="bob@example.com"),
    )  # fmt: skip
    ann = desk.who("1")
    assert (intake.state, intake.applied, intake.refused, intake.members) == ("ended", 5, 0, 1)
    assert (desk.balance(ann).active, desk.balance(ann).pending, desk.balance(ann).lifetime) == (30, 70, 0)
    stored = rows(desk.database, select(lot).where(lot.c.member == ann).order_by(lot.c.number))
    found = [(row.amount, row.expires_at // 10**6, row.subject) for row in stored]
    may, december = (int(datetime(2026, m, 31, h, tzinfo=UTC).timestamp()) for m, h in ((5, 22), (12, 23)))
    assert found == [(30, may, intake.subject), (70, december, intake.subject)]
    (had,) = rows(desk.database, select(tier).where(tier.c.member == ann))
    assert (had.name, had.until // 10**6) == ("gold", december)
    (person,) = rows(desk.database, select(member).where(member.c.id == ann))
    (takes_part,) = rows(desk.database, select(membership).where(membership.c.member == ann))
    assert person.joined_at == takes_part.joined_at == int(datetime(2024, 2, 2, 23, tzinfo=UTC).timestamp()) * 10**6
    assert takes_part.anniversary == "02-03"
    desk.check()


async def test_no_rule_no_limit_and_no_message_has_a_say(desk: Desk) -> None:
    await desk.bring(HEADER, line(reference="1", email="ann@example.com", points=5, tier="gold"))
    ann = desk.who("1")
    assert desk.balance(ann).active == 5
    assert [row.kind for row in rows(desk.database, select(entry).where(entry.c.member == ann))] == ["import"]
    kinds = {row.kind for row in rows(desk.database, select(event).where(event.c.member == ann))}
    assert kinds == {"tier_moved", "segment_changed"}
    assert rows(desk.database, select(outbox)) == []
    assert desk.announced == []


@on_sqlite
async def test_the_shop_hears_of_new_balances_once_and_not_at_all_when_it_shall_not(desk: Desk) -> None:
    await desk.bring(HEADER, line(reference="1", points=5), line(reference="2"))
    marked = [(row.connection, row.member, row.wanted, row.sent) for row in rows(desk.database, select(push))]
    assert sorted(marked) == sorted(("shop", desk.who(reference), 1, 0) for reference in ("1", "2"))
    await desk.bring(HEADER, line(reference="3", points=5), quiet=True)
    assert len(rows(desk.database, select(push))) == 2


async def test_points_without_an_end_live_as_long_as_new_ones_unless_they_never_die(desk: Desk) -> None:
    await desk.bring(HEADER, line(reference="1", points=5), line(reference="2", points=5, expires="never"))
    (first,), (second,) = (
        rows(desk.database, select(lot).where(lot.c.member == desk.who(reference))) for reference in ("1", "2")
    )
    assert first.expires_at // 10**6 == int(datetime(2027, 3, 10, 23, tzinfo=UTC).timestamp())
    assert second.expires_at is None


async def test_the_same_file_and_the_same_rows_again_change_nothing(desk: Desk) -> None:
    twice = (line("lot", reference="1", points=5), line("lot", reference="1", points=5))
    path = desk.file(HEADER, line(reference="1", points=5), *twice)
    first = await desk.take(path)
    assert (await desk.take(path)).id == first.id
    assert desk.balance(desk.who("1")).active == 15

    second = await desk.bring(HEADER, *twice, line(reference="1", points=5), line("lot", reference="1", points=5))
    assert (second.applied, second.known) == (1, 3)
    assert desk.balance(desk.who("1")).active == 20
    third = await desk.take(path, decimals=".")
    assert (third.applied, third.known) == (0, 3)
    desk.check()


@on_sqlite
async def test_a_row_that_is_refused_goes_to_the_file_of_errors_and_the_others_go_on(desk: Desk) -> None:
    intake = await desk.bring(
        "email,points", "ann@example.com,5", "bob,5", '"cleo@example.com","1,250"', "dan@example.com,6"
    )
    assert (intake.applied, intake.refused) == (2, 2)
    written = desk.mistakes()
    doubt = "'1,250' may be thousands or decimals; say which: --decimals . or --decimals ,"
    assert written == [
        "email,points,reason",
        "bob,5,\"line 3, column 'email': 'bob' is no e-mail address; write it as ann@example.com\"",
        f'cleo@example.com,"1,250","line 4, column \'points\': {doubt}"',
    ]
    assert desk.errors.stat().st_mode & 0o777 == 0o600
    mended = desk.folder / "mended.csv"
    mended.write_text(desk.errors.read_text().replace("bob,", "bob@example.com,"))
    again = await desk.take(mended, decimals=".", errors=str(desk.folder / "again.csv"))
    assert (again.applied, again.refused) == (2, 0)


async def test_who_is_known_is_added_to_and_keeps_what_the_shop_said(desk: Desk) -> None:
    known = work(
        desk, lambda unit: create_member(unit, ("shop", "1"), {"email": "Ann@Example.com", "first_name": "Ann"})
    )
    before = desk.balance(known).active
    await desk.bring(
        "reference,email,first_name,last_name,points",
        "1,other@example.com,Anna,Lee,5",
        ",ann@example.com,,,6",
    )
    assert desk.balance(known).active == before + 11
    told = desk.database.read_now(lambda c: export_member(c, desk.setting.merchant, desk.setting.sealer, known))
    assert told["member"][0]["attributes"] == {"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee"}
    assert {row["kind"] for row in told["imported"]} == {"member"}


async def test_nobody_is_taken_for_another_on_doubt(desk: Desk) -> None:
    for reference in ("1", "2"):
        work(desk, lambda unit, of=reference: create_member(unit, ("shop", of), {"email": "both@example.com"}))  # type: ignore[misc]
    work(desk, lambda unit: create_member(unit, ("shop", "3"), {"email": "ann@example.com"}))
    intake = await desk.bring("reference,email,points", ",both@example.com,5", "4,ann@example.com,5")
    assert (intake.applied, intake.refused) == (0, 2)
    written = desk.errors.read_text()
    assert "2 members have this address" in written
    assert "is the address of another customer of the connection" in written


async def test_who_was_erased_is_not_brought_back(desk: Desk) -> None:
    await desk.bring(HEADER, line(reference="1", email="ann@example.com", points=5, code="ANN10", note="a note"))
    ann = desk.who("1")
    work(desk, lambda unit: erase_members(unit, [ann]))
    (kept,) = rows(desk.database, select(imported).where(imported.c.member == ann))
    assert (kept.referral_sealed, kept.note) == (None, "")

    intake = await desk.bring("reference,email,points", "1,,6", ",ann@example.com,6", "9,ANN@example.com,6")
    assert (intake.applied, intake.refused) == (0, 3)
    assert "this person was erased on 2026-03-10 and is not brought back" in desk.errors.read_text()


@on_sqlite
async def test_who_is_known_by_address_alone_is_the_shops_customer_once_it_tells_of_them(desk: Desk) -> None:
    desk.setting = replace(desk.setting, merchant="main")
    await desk.bring("email,points", "ann@example.com,5")
    seen = CustomerSeen(reference="1", occurred_at=desk.clock.now(), attributes={"email": "Ann@example.com "})
    other = CustomerSeen(reference="2", occurred_at=desk.clock.now(), attributes={"email": "ann@example.com"})
    tell(desk.database, desk.setting, OrderSeen(reference="A", snapshot=order(20, customer="3")), seen, other)
    (waited,) = rows(desk.database, select(imported))
    assert desk.who("1") == waited.member
    assert len({desk.who("1"), desk.who("2"), desk.who("3")}) == 3
    assert desk.balance(waited.member).active == 5


@on_sqlite
async def test_who_has_another_address_by_now_is_still_found_by_the_one_of_the_file(desk: Desk) -> None:
    await desk.bring("email,points", "ann@example.com,5")
    (ann,) = {row.member for row in rows(desk.database, select(imported))}
    work(desk, lambda unit: change_attributes(unit, ann, {"email": "lee@example.com"}))
    await desk.bring("email,points", "ann@example.com,6")
    assert desk.balance(ann).active == 11
    bob = work(desk, lambda unit: create_member(unit, ("shop", "2"), {}))
    work(desk, lambda unit: change_attributes(unit, bob, {"email": "ann@example.com"}))
    intake = await desk.bring("email,points", "ann@example.com,7")
    assert (intake.applied, intake.refused) == (0, 1)


async def test_whom_a_caller_makes_by_the_address_is_the_member_of_the_file(desk: Desk) -> None:
    await desk.bring("email,points", "ann@example.com,5")
    ann = work(desk, lambda unit: create_member(unit, ("shop", "1"), {"email": "ann@example.com", "first_name": "Ann"}))
    assert desk.balance(ann).active == 5
    with pytest.raises(Conflict, match="is a member already"):
        work(desk, lambda unit: create_member(unit, ("shop", "1"), {}))


async def test_a_later_row_with_the_reference_is_the_same_person(desk: Desk) -> None:
    await desk.bring("reference,email,points", ",ann@example.com,5", "1,ann@example.com,6", ",ann@example.com,7")
    assert desk.balance(desk.who("1")).active == 18
    assert len(rows(desk.database, select(identity).where(identity.c.merchant == desk.setting.merchant))) == 1
    await desk.bring("reference,email,points", ",bob@example.com,5")
    await desk.bring("reference,email,points", "2,bob@example.com,6")
    assert desk.balance(desk.who("2")).active == 11


@on_sqlite
async def test_a_tier_below_the_members_own_is_what_they_fall_back_to(desk: Desk) -> None:
    await desk.bring(HEADER, line(reference="1", tier="gold", tier_until="2026-06-30"))
    await desk.bring(HEADER, line(reference="1", tier="silver", tier_until="2026-12-31"))
    ann = desk.who("1")
    (had,) = rows(desk.database, select(tier).where(tier.c.member == ann))
    assert had.name == "gold"
    assert '"silver"' in had.state


async def test_history_is_shown_among_what_happened(desk: Desk) -> None:
    await desk.bring(
        HEADER,
        line("history", reference="1", points=40, at="2025-01-01", note="An order"),
        line("history", reference="1", at="2025-02-01", note="Birthday"),
    )
    ann, merchant = desk.who("1"), desk.setting.merchant
    found = desk.database.read_now(lambda c: timeline(c, merchant, ann, None, 10))
    assert [getattr(one.what, "note", "") for one in found][-2:] == ["Birthday", "An order"]
    assert desk.balance(ann).active == 0


class Crash(Exception):
    """The power fails."""


class Failing:
    """A database that fails in the `at`th transaction, before it counts or just behind."""

    def __init__(self, desk: Desk, at: int, *, behind: bool) -> None:
        self._desk, self._left, self._behind = desk, at, behind
        self.read, self.is_sqlite = desk.database.read, False

    async def write(self, act: Callable[[Connection], Any]) -> Any:
        self._left -= 1
        if self._left:
            return await self._desk.database.write(act)
        if self._behind:
            await self._desk.database.write(act)
            raise Crash

        def torn(connection: Connection) -> None:
            act(connection)
            raise Crash

        return await self._desk.database.write(torn)


async def test_whenever_it_stops_it_goes_on_exactly_there(
    database: Database, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STEP", 2)
    monkeypatch.setattr(running, "MEMBERS", 2)
    monkeypatch.setattr(running, "PAUSE", 0)
    lines = ["email,points", "ann@example.com,1", "bob,9", "bob@example.com,2", "nobody,7", "ann@example.com,4", "x,y"]
    for at, behind in itertools.product(range(1, 8), (False, True)):
        desk = Desk(database, setting, tmp_path)
        path, options = desk.file(*lines), desk.options()
        importer = desk.importer(Failing(desk, at, behind=behind))  # type: ignore[arg-type]
        with pytest.raises(Crash):
            await begin(importer, path, options)

        done = await desk.take(path)

        assert (done.state, done.applied, done.refused, done.members) == ("ended", 3, 3, 2)
        assert [one.split(",")[0] for one in desk.mistakes()] == ["email", "bob", "nobody", "x"]
        mine = select(entry).where(entry.c.merchant == desk.setting.merchant)
        assert sum(-row.imported for row in rows(database, mine)) == 7
        desk.check()


async def begin(importer: Importer, path: Path, options: Options) -> None:
    sheet = look(path)
    intake, _ = await importer.begin(path, sheet, "main", "shop", options)
    await importer.run(intake, sheet)


async def test_whom_somebody_else_made_meanwhile_is_looked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, times = importing.judge, itertools.count(1)

    def late(connection: Connection, *given: Any) -> Any:
        found = judge(connection, *given)
        if next(times) == 1:
            row = {"merchant": desk.setting.merchant, "connection": "shop", "reference": "1", "member": "m_other"}
            saving.insert(connection, "identity", [row])
        return found

    monkeypatch.setattr(importing, "judge", late)
    intake = await desk.bring("reference,points", "1,5")
    assert (intake.applied, next(times)) == (1, 3)
    assert desk.balance(desk.who("1")).active == 5


async def test_two_processes_do_not_bring_in_the_same_rows(desk: Desk) -> None:
    path, options = desk.file("email,points", "ann@example.com,1"), desk.options()
    importer, sheet = desk.importer(), look(path)
    intake, _ = await importer.begin(path, sheet, "main", "shop", options)
    await importer.run(intake, sheet)
    with pytest.raises(Conflict, match="another process goes on"):
        await importer.run(intake, sheet)


async def test_a_file_that_changed_meanwhile_does_not_go_on(desk: Desk) -> None:
    path = desk.file("email,points", "ann@example.com,1")
    intake, _ = await desk.importer().begin(path, look(path), "main", "shop", desk.options())
    with pytest.raises(Conflict, match="was begun with other options"):
        await desk.importer().begin(path, look(path), "main", "shop", desk.options(decimals="."))
    path.write_text("email,points\nann@example.com,2\n")
    with pytest.raises(Conflict, match="is not as it was"):
        await same_file(intake)


async def test_a_program_that_is_not_there_is_told(desk: Desk) -> None:
    path = desk.file("email,points", "ann@example.com,1")
    with pytest.raises(NotFound, match="program that is valid now 'other'"):
        await desk.importer().begin(path, look(path), "other", "shop", desk.options())


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(desk: Desk) -> None:
    await desk.bring("email,points", "bob@example.com,3")
    path, options = desk.file("email,points", "ann@example.com,1", "x,1", "bob@example.com,3"), desk.options()
    sheet, before = look(path), len(rows(desk.database, select(imported)))
    trial = await desk.importer().try_out(supposed(path, sheet, "main", "shop", options), sheet)
    assert (trial.applied, trial.known, trial.refused, trial.members) == (1, 1, 1, 1)
    assert dict(trial.points) == {"points": 1}
    assert trial.examples == ["line 3, column 'email': 'x' is no e-mail address; write it as ann@example.com"]
    assert len(rows(desk.database, select(imported))) == before
    assert not desk.errors.exists()


async def test_an_import_that_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no import 'i_nothing'"):
        desk.database.read_now(lambda connection: load_intake(connection, desk.setting.merchant, "i_nothing"))
