"""An import is taken back as far as it is still there, and what it comes to agrees with its file, on both databases."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from tests.databases import on_sqlite

from stampcard.applying.promoting import give_tier
from stampcard.applying.requests import adjust, create_member
from stampcard.applying.setting import Setting
from stampcard.applying.spending import spend
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerSeen
from stampcard.errors import InsufficientPoints
from stampcard.importing import running
from stampcard.importing.reconciling import Total
from stampcard.storage.database import Database
from stampcard.storage.importing import kept_points
from stampcard.storage.tables import entry, imported, member, perk, push, tier
from stampcard.testing.applying import rows, tell
from stampcard.testing.importing import PROGRAM, Desk


def work(desk: Desk, act: Any) -> Any:
    def transaction(connection: Connection) -> Any:
        unit = Unit(connection, desk.setting, desk.clock.now())
        given = act(unit)
        unit.save()
        return given

    return desk.database.write_now(transaction)


async def test_what_was_not_spent_comes_back_and_what_was_is_told(desk: Desk) -> None:
    intake = await desk.bring("reference,points", "1,100", "2,50")
    ann, bob = desk.who("1"), desk.who("2")
    work(desk, lambda unit: spend(unit, ann, "points", 30, "k", ""))

    undone, gone = await desk.importer().undo(intake.id)

    assert (undone.state, gone) == ("undone", 1)
    assert (desk.balance(ann).active, desk.balance(ann).spent) == (0, 30)
    assert rows(desk.database, select(member.c.id)) == [(ann,)]
    kept = desk.database.read_now(lambda c: kept_points(c, desk.setting.merchant, intake.id, 10))
    assert [(row.member, row.wallet, row.points) for row in kept] == [(ann, "points", 30)]
    assert bob not in {row.member for row in rows(desk.database, select(push))}
    desk.check()


PERKS = (
    PROGRAM.replace("segments:", "perks: {early: {tiers: gold, tag: early}}\nsegments:")
    + """
  - {id: gained, on: perk_gained, award: 9, wallet: points}
"""
)


async def test_a_perk_of_a_tier_that_was_imported_pays_nothing_and_goes_with_the_tier(
    database: Database, setting: Setting, tmp_path: Path
) -> None:
    desk = Desk(database, setting, tmp_path, PERKS)
    tell(database, desk.setting, CustomerSeen(reference="1", occurred_at=desk.clock.now()), now=desk.clock.now())
    before = desk.balance(desk.who("1")).active
    intake = await desk.bring("reference,points,tier", "1,100,gold", "2,5,gold")
    assert desk.balance(desk.who("1")).active == before + 100
    assert {row.has for row in rows(database, select(perk.c.has))} == {1}

    _, gone = await desk.importer().undo(intake.id)

    assert gone == 1
    assert [(row.has, row.member) for row in rows(database, select(perk))] == [(0, desk.who("1"))]
    assert desk.balance(desk.who("1")).active == before


@on_sqlite
async def test_undoing_twice_changes_nothing_and_then_the_file_can_come_again(desk: Desk) -> None:
    path = desk.file("reference,points,tier", "1,100,gold")
    intake = await desk.take(path)
    await desk.importer().undo(intake.id)
    count = len(rows(desk.database, select(entry)))
    assert (await desk.importer().undo(intake.id))[1] == 0
    assert len(rows(desk.database, select(entry))) == count
    again = await desk.take(path)
    assert (again.id != intake.id, again.applied, again.known) == (True, 1, 0)
    assert desk.balance(desk.who("1")).active == 100
    desk.check()


@on_sqlite
async def test_points_that_expired_meanwhile_were_not_spent(desk: Desk) -> None:
    intake = await desk.bring("reference,points,expires", "1,100,2026-03-31")
    desk.clock.advance(60 * 86400)
    await desk.importer().undo(intake.id)
    assert desk.database.read_now(lambda c: kept_points(c, desk.setting.merchant, intake.id, 10)) == []
    desk.check()


@on_sqlite
@pytest.mark.parametrize("did", ["nothing", "points", "tier", "file", "shop"])
async def test_only_members_whom_the_import_made_and_who_did_nothing_since_are_removed(desk: Desk, did: str) -> None:
    desk.setting = _main(desk.setting)
    intake = await desk.bring("reference,email,points", "1,ann@example.com,100")
    ann = desk.who("1")
    match did:
        case "points":
            work(desk, lambda unit: adjust(unit, ann, "points", 5, "k", "a gift"))
        case "tier":
            work(desk, lambda unit: give_tier(unit, ann, "main", "gold", None))
        case "file":
            await desk.bring("reference,points", "1,7")
        case "shop":
            tell(desk.database, desk.setting, CustomerSeen(reference="1", occurred_at=desk.clock.now()))
    await desk.importer().undo(intake.id)
    assert bool(rows(desk.database, select(member.c.id))) == (did != "nothing")
    desk.check()


def change(file: Path, before: str, after: str) -> None:
    file.write_text(file.read_text().replace(before, after))


def _main(setting: Setting) -> Setting:
    return replace(setting, merchant="main")


@on_sqlite
async def test_who_was_a_member_before_stays_one_with_the_tier_they_had(desk: Desk) -> None:
    ann = work(desk, lambda unit: create_member(unit, ("shop", "1"), {}))
    before = desk.balance(ann).active
    intake = await desk.bring("reference,points,tier", "1,100,gold")
    await desk.importer().undo(intake.id)
    (had,) = rows(desk.database, select(tier).where(tier.c.member == ann))
    assert (had.name, desk.balance(ann).active) == ("bronze", before)


async def test_what_a_file_told_of_people_goes_with_it(desk: Desk) -> None:
    intake = await desk.bring("kind,reference,code,at,note", "referral,1,ANN10,,", "history,1,,2025-01-01,A mug")
    await desk.importer().undo(intake.id)
    assert {(row.note, row.referral_sealed) for row in rows(desk.database, select(imported))} == {("", None)}


@on_sqlite
async def test_an_undo_that_was_interrupted_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MEMBERS", 1)
    intake = await desk.bring("reference,points", "1,1", "2,2", "3,3")

    class Crash(Exception):
        pass

    def crash(done: int) -> None:
        if done == 2:
            raise Crash

    with pytest.raises(Crash):
        await desk.importer().undo(intake.id, crash)
    _, gone = await desk.importer().undo(intake.id)
    assert gone == 1
    assert rows(desk.database, select(member.c.id)) == []
    desk.check()


async def test_a_comparison_is_right_to_the_point_and_sees_what_is_not(desk: Desk) -> None:
    await desk.bring("reference,points,wallet", "1,5,points")
    intake = await desk.bring(
        "reference,points,wallet",
        "1,5,points",
        '2,"1,250.5",miles',
        "3,10,points",
        "4,x,points",
        "5,-3,points",
        ",9,points",
    )
    totals = desk.reconciled(intake)
    assert totals["points"] == Total(file=21, refused=6, known=5, unread=1, credited=10)
    assert totals["miles"] == Total(file=125050, credited=125050)
    assert [total.difference for total in totals.values()] == [0, 0]
    change(Path(intake.file), "3,10", "3,11")
    assert desk.reconciled(intake)["points"].difference == 1


_rows = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", ""]),
        st.sampled_from(["a@b.de", "c@d.de", "", "bad"]),
        st.sampled_from(["", "0", "5", "70", "1,250", "x", "-1"]),
        st.sampled_from(["", "2026-03-31", "2026-12-31", "2020-01-01", "never"]),
        st.sampled_from(["", "silver", "gold", "tin"]),
    ),
    min_size=1,
    max_size=9,
)  # fmt: skip


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(first=_rows, second=_rows, spent=st.integers(1, 40), days=st.sampled_from([0, 30]))
def test_whatever_a_file_holds_the_ledger_agrees_after_import_undo_and_import_again(
    database: Database, setting: Setting, tmp_path: Path, first: Any, second: Any, spent: int, days: int
) -> None:
    desk = Desk(database, setting, tmp_path)

    async def story() -> None:
        one, two = (desk.file("reference;email;points;expires;tier", *map(";".join, of)) for of in (first, second))
        intakes = [await desk.take(one), await desk.take(two)]
        for intake in intakes:
            assert intake.done == intake.total
            assert [total.difference for total in desk.reconciled(intake).values()] == [0, 0]
        desk.check()
        desk.clock.advance(days * 86400)
        rich = rows(database, select(entry.c.member).where(entry.c.merchant == desk.setting.merchant))
        for row in rich[:1]:
            with suppress(InsufficientPoints):
                work(desk, lambda unit, of=row.member: spend(unit, of, "points", spent, "k", ""))
        await desk.importer().undo(intakes[0].id)
        desk.check()
        again = await desk.take(one)
        desk.check()
        if again.id != intakes[0].id:
            assert [total.difference for total in desk.reconciled(again).values()] == [0, 0]
        await desk.importer().undo(again.id)
        await desk.importer().undo(intakes[1].id)
        desk.check()

    asyncio.run(story())
