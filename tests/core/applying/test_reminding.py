"""A day brings a message to those whose day it is, once, and to nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.core.letters import Box, Letters, with_messages

from stampcard.applying.joining import try_plan
from stampcard.applying.requests import Answer, adjust, change_attributes
from stampcard.applying.setting import Setting
from stampcard.domain.events import CustomerSeen
from stampcard.storage.database import Database

EXPIRING = with_messages("""
messages:
  expiring: {on: 3 days before points_expire, use: points_expiring, purpose: transactional}
""")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def ticks_at(letters: Letters, text: str) -> list[str]:
    """Let the timer tick once at a moment; answers the texts that left then."""
    letters.clock.advance(moment(text) - letters.clock.now())
    await letters.timer.tick()
    (box,) = letters.boxes.values()
    assert isinstance(box, Box)
    before = len(box.sent)
    await letters.post()
    return [one.text.split("\n\n")[1] for one in box.sent[before:]]


async def test_points_that_expire_are_told_three_days_before_at_the_hour_of_the_program(
    database: Database, setting: Setting
) -> None:
    letters = Letters(database, setting, EXPIRING, Box())
    letters.joins()
    letters.buys("O1", 40)
    # Bought on 10 March 2026: the last day is 10 March 2027, in Berlin.
    assert await ticks_at(letters, "2027-03-07T08:59") == []
    (told,) = await ticks_at(letters, "2027-03-07T09:01")
    assert told == ("40 points of yours expire after Wednesday, March 10, 2027. You have 40 points in all.")
    assert await ticks_at(letters, "2027-03-08T09:01") == []


async def test_whoever_spent_them_meanwhile_is_told_nothing(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, EXPIRING, box := Box())
    member = letters.joins()
    letters.buys("O1", 40)
    letters.clock.advance(moment("2027-03-07T09:01") - letters.clock.now())
    await letters.timer.tick()

    def spend(unit: object) -> Answer:
        adjust(unit, member, "points", -40, "k", "spent")  # type: ignore[arg-type]
        return Answer(status=200, body={})

    letters.act(spend)
    await letters.post()
    assert box.sent == []
    assert letters.messages() == [("expiring", "email", "dropped", "no_longer")]


async def test_points_that_come_late_are_told_the_next_day(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, EXPIRING, Box())
    member = letters.joins()
    letters.clock.advance(moment("2027-03-01T12:00") - letters.clock.now())

    def give(points: int, key: str) -> None:
        def work(unit: object) -> Answer:
            adjust(unit, member, "points", points, key, "gift")  # type: ignore[arg-type]
            return Answer(status=200, body={})

        letters.act(work)

    give(10, "a")
    (told,) = await ticks_at(letters, "2028-02-27T10:00")
    assert told.startswith("10 points of yours expire after Wednesday, March 1, 2028")


async def test_a_downtime_is_caught_up_and_what_came_too_late_is_not_told(database: Database, setting: Setting) -> None:
    text = with_messages("messages:\n  hello: {on: 5 days after sign_up, use: welcome, purpose: transactional}\n")
    letters = Letters(database, setting, text, Box())
    letters.joins("ann")
    letters.clock.advance(timedelta(days=3))
    letters.joins("bob")
    # Ann's day was 15 March, Bob's is the 18th; nobody looked until the 19th.
    assert len(await ticks_at(letters, "2026-03-19T12:00")) == 1
    assert [row[2] for row in letters.messages()] == ["sent"]


async def test_a_birthday_is_told_on_its_day_or_some_days_before(database: Database, setting: Setting) -> None:
    text = with_messages("messages:\n  birthday: {on: 2 days before birthday, use: birthday, purpose: transactional}\n")
    letters = Letters(database, setting, text, Box())
    letters.joins("ann", birthday="1990-05-10")
    assert await ticks_at(letters, "2026-05-07T12:00") == []
    assert len(await ticks_at(letters, "2026-05-08T12:00")) == 1
    assert await ticks_at(letters, "2026-05-10T12:00") == []
    assert len(await ticks_at(letters, "2027-05-08T12:00")) == 1


async def test_only_whoever_bought_nothing_since_is_won_back(database: Database, setting: Setting) -> None:
    text = with_messages(
        "messages:\n  back: {on: 30 days after last_purchase, use: win_back, purpose: transactional}\n"
    )
    letters = Letters(database, setting, text, Box())
    letters.joins("ann")
    letters.joins("bob")
    letters.buys("O1", 10, customer="ann")
    letters.buys("O2", 10, customer="bob")
    letters.clock.advance(timedelta(days=10))
    letters.buys("O3", 10, customer="bob")
    assert await ticks_at(letters, "2026-04-09T12:00") == [
        "It has been 30 days since your last purchase. 10 points wait for you."
    ]
    assert len(await ticks_at(letters, "2026-04-19T12:00")) == 1


@pytest.mark.parametrize(
    ("day", "early", "due"),
    [
        # The clock goes forward on 29 March and back on 25 October: ten o'clock there is 8:00 or 9:00 in UTC.
        ("2026-03-28", "2026-03-28T08:59", "2026-03-28T09:00"),
        ("2026-03-29", "2026-03-29T07:59", "2026-03-29T08:00"),
        ("2026-10-24", "2026-10-24T07:59", "2026-10-24T08:00"),
        ("2026-10-25", "2026-10-25T08:59", "2026-10-25T09:00"),
    ],
)
async def test_the_hour_is_that_of_the_program_all_year(
    database: Database, setting: Setting, day: str, early: str, due: str
) -> None:
    text = with_messages("messages:\n  birthday: {on: birthday, use: birthday, purpose: transactional}\n")
    letters = Letters(database, setting, text, Box())
    letters.joins("ann", birthday=f"1990-{day[5:]}")
    letters.clock.advance(moment(early) - letters.clock.now())
    assert await ticks_at(letters, early) == []
    assert len(await ticks_at(letters, due)) == 1


async def test_who_leaves_the_audience_before_it_leaves_is_told_nothing(database: Database, setting: Setting) -> None:
    text = with_messages(
        """messages:
  birthday:
    on: birthday
    use: birthday
    purpose: transactional
    when: member.attributes.country == 'DE'
"""
    )
    letters = Letters(database, setting, text, box := Box())
    member = letters.joins("ann", birthday="1990-05-10", country="DE")
    letters.clock.advance(moment("2026-05-10T12:00") - letters.clock.now())
    await letters.timer.tick()

    def moves(unit: object) -> Answer:
        change_attributes(unit, member, {"country": "FR"})  # type: ignore[arg-type]
        return Answer(status=200, body={})

    letters.act(moves)
    await letters.post()
    assert (box.sent, letters.messages()) == ([], [("birthday", "email", "dropped", "no_longer")])
    letters.tell(CustomerSeen(reference="bob", occurred_at=letters.clock.now(), attributes={"country": "FR"}))


#: When each reminder of Ann is due, who bought for 100 on 10 March 2026, and what it says.
REMINDERS: dict[str, tuple[str, str]] = {
    "on: 5 days before points_expire": ("2027-03-05", "100 points until 2027-03-10, 5 days"),
    "on: 3 days before reward_expires": ("2026-04-06", "5 % off until 2026-04-09, 3 days"),
    "on: 2 days after reward_issued": ("2026-03-12", "5 % off, 2 days"),
    "on: 14 days before tier_ends": ("2027-02-24", "Gold until 2027-03-10, 14 days"),
    "on: 7 days before plan_ends": ("2026-03-17", "Plus until 2026-03-24, 7 days"),
    "on: 1 day before perk_ends": ("2026-04-08", "Lounge until 2026-04-09, 1 days"),
    "on: 10 days before program_ends": ("2026-12-21", "until 2026-12-31, 10 days"),
    "on: 1 day before anniversary": ("2027-03-09", "1 days"),
    "on: 1 day after birthday": ("2026-05-11", "1 days"),
    "on: 7 days after purchase": ("2026-03-17", "7 days"),
    "on: 30 days after last_purchase": ("2026-04-09", "30 days"),
    "on: 5 days after sign_up": ("2026-03-15", "5 days"),
}
SAYS = {
    "points_expire": "{{ points }} points until {{ expires_on }}, ",
    "reward_expires": "{{ reward.name }} until {{ expires_on }}, ",
    "reward_issued": "{{ reward.name }}, ",
    "tier_ends": "{{ tier.name }} until {{ expires_on }}, ",
    "plan_ends": "{{ plan.name }} until {{ expires_on }}, ",
    "perk_ends": "{{ perk.name }} until {{ expires_on }}, ",
    "program_ends": "until {{ expires_on }}, ",
}
EVERYTHING = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
state: ending
ending: {last_earn: 2026-12-31, last_redeem: 2026-12-31, closed: 2028-12-31}
attributes: {birthday: date}
wallets: {points: {expire: 12 months}}
plans: {plus: {name: Plus, skus: PLUS, lasts: 30 days, trial: 14 days}}
perks: {lounge: {name: Lounge, tiers: gold, valid: 30 days}}
tiers:
  by: points
  within: 12 months
  levels: {silver: 0, gold: {from: 100, name: Gold}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: gift, on: purchase, award: reward voucher}
rewards:
  voucher: {name: 5 % off, gives: 5 % off, by: own, valid: 30 days}
messages:
  it:
    ON
    purpose: transactional
    texts: {en: {subject: It, text: "SAYS{{ days }} days"}}
"""


@pytest.mark.parametrize("on", REMINDERS)
async def test_each_day_brings_its_reminder_and_none_a_day_before_or_after(
    database: Database, setting: Setting, on: str
) -> None:
    due, says = REMINDERS[on]
    text = EVERYTHING.replace("ON\n", f"{on}\n").replace("SAYS", SAYS.get(on.rpartition(" ")[2], ""))
    letters = Letters(database, setting, text, box := Box())
    member = letters.joins(birthday="1990-05-10")
    letters.buys("O1", 100)

    def tries(unit: object) -> Answer:
        try_plan(unit, member, "main", "plus")  # type: ignore[arg-type]
        return Answer(status=200, body={})

    letters.act(tries)
    day = datetime.fromisoformat(due).replace(tzinfo=UTC)
    for offset in (-1, 0, 1):
        moment_ = day + timedelta(days=offset, hours=11)
        if moment_ <= letters.clock.now():
            continue
        letters.clock.advance(moment_ - letters.clock.now())
        await letters.timer.tick()
        await letters.post()
        assert [one.text.partition("\n")[0] for one in box.sent] == ([says] if offset >= 0 else [])
