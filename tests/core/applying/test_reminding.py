"""A day brings a message to those whose day it is, once, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.core.letters import PROGRAM, Box, Letters, with_messages
from tests.databases import on_sqlite

from stampcard.applying.joining import end_plan, try_plan
from stampcard.applying.merging import merge
from stampcard.applying.promoting import give_tier
from stampcard.applying.redeeming import use
from stampcard.applying.requests import Answer, adjust, change_attributes
from stampcard.applying.setting import Setting
from stampcard.applying.using import give_perk
from stampcard.clock import to_micros
from stampcard.domain.events import CustomerSeen
from stampcard.storage.database import Database
from stampcard.storage.tables import member, redemption
from stampcard.testing.applying import rows

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


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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
    text = everything(on)
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


class Everything(Letters):
    """Ann, who bought for 100 on 10 March 2026 and tries a plan, in a program that has everything."""

    def __init__(self, database: Database, setting: Setting, on: str, *more: str) -> None:
        self.box = Box()
        super().__init__(database, setting, everything(on, *more), self.box)
        self.ann = self.joins(birthday="1990-05-10")
        self.buys("O1", 100)
        self.does(lambda unit: try_plan(unit, self.ann, "main", "plus"))

    def does(self, work: Callable[[Any], object]) -> None:
        def answer(unit: Any) -> Answer:
            work(unit)
            return Answer(status=200, body={})

        self.act(answer)

    async def ticks(self, text: str) -> None:
        self.clock.advance(moment(text) - self.clock.now())
        await self.timer.tick()

    async def told(self) -> list[str]:
        before = len(self.box.sent)
        await self.post()
        return [one.text.partition("\n")[0] for one in self.box.sent[before:]]

    def reward(self) -> str:
        (row,) = rows(self.database, select(redemption.c.id))
        return str(row.id)


def everything(on: str, *more: str) -> str:
    """The program, with a message on that."""
    told = "".join(f"\n    {line}" for line in more)
    says = SAYS.get(on.rpartition(" ")[2], "") + ("{{ days }} days" if " days " in on or " day " in on else "")
    return EVERYTHING.replace("ON\n", f"{on}{told}\n").replace("SAYS{{ days }} days", says)


#: What makes a reminder say nothing any more before it leaves.
MOOT: dict[str, Callable[[Everything], object]] = {
    "on: 3 days before reward_expires": lambda story: story.does(lambda unit: use(unit, story.reward(), "till")),
    "on: 2 days after reward_issued": lambda story: story.does(lambda unit: use(unit, story.reward(), "till")),
    "on: 14 days before tier_ends": lambda story: story.does(
        lambda unit: give_tier(unit, story.ann, "main", "gold", moment("2028-01-01T00:00"))
    ),
    "on: 7 days before plan_ends": lambda story: story.does(
        lambda unit: end_plan(unit, story.ann, "main", "plus", "asked to")
    ),
    "on: 1 day before perk_ends": lambda story: story.does(
        lambda unit: give_perk(unit, story.ann, "main", "lounge", "taken", None, "broke a glass")
    ),
    "on: 10 days before program_ends": lambda story: story.applies(
        everything("on: 10 days before program_ends").replace("last_redeem: 2026-12-31", "last_redeem: 2027-06-30")
    ),
    "on: 7 days after purchase": lambda story: story.returns("O1", 100),
    "on: 30 days after last_purchase": lambda story: story.buys("O2", 10),
}


@on_sqlite
@pytest.mark.parametrize("on", MOOT)
async def test_what_is_so_no_more_when_it_leaves_is_not_told(database: Database, setting: Setting, on: str) -> None:
    story = Everything(database, setting, on)
    await story.ticks(f"{REMINDERS[on][0]}T11:00")
    assert [row[2] for row in story.messages()] == ["waiting"]
    MOOT[on](story)
    assert await story.told() == []
    assert story.messages() == [("it", "email", "dropped", "no_longer")]


@on_sqlite
@pytest.mark.parametrize(
    "on", [on for on in REMINDERS if " before " in on and on.endswith(("_ends", "_expire", "_expires"))]
)
async def test_what_is_held_back_over_a_night_says_how_many_days_are_left(
    database: Database, setting: Setting, on: str
) -> None:
    story = Everything(database, setting, on)
    day, says = REMINDERS[on]
    await story.ticks(f"{day}T11:00")
    story.clock.advance(timedelta(days=1))
    head, _, days = says.removesuffix(" days").rpartition(" ")
    assert await story.told() == [f"{head} {int(days) - 1} days"]


@on_sqlite
async def test_its_condition_asks_for_the_days_that_are_left_when_it_leaves(
    database: Database, setting: Setting
) -> None:
    story = Everything(database, setting, "on: 5 days before points_expire", "when: event.data.days >= 5")
    await story.ticks("2027-03-05T11:00")
    story.clock.advance(timedelta(days=1))
    assert await story.told() == []
    assert [row[3] for row in story.messages()] == ["no_longer"]


@pytest.mark.parametrize("is_returned", [False, True])
async def test_what_somebody_bought_who_was_merged_since_is_told_of_as_long_as_it_counts(
    database: Database, setting: Setting, is_returned: bool
) -> None:
    story = Everything(database, setting, "on: 7 days after purchase")
    await story.ticks("2026-03-17T11:00")
    bob = story.joins("bob")
    story.does(lambda unit: merge(unit, story.ann, bob, by="clerk"))
    if is_returned:
        story.returns("O1", 100)
    assert await story.told() == ([] if is_returned else ["7 days"])


@on_sqlite
async def test_what_was_written_down_on_something_else_says_nothing_any_more(
    database: Database, setting: Setting
) -> None:
    story = Everything(database, setting, "on: 5 days after sign_up")
    await story.ticks("2026-03-15T11:00")
    story.applies(everything("on: 7 days after purchase"))
    assert await story.told() == []
    assert [row[3] for row in story.messages()] == ["no_longer"]


@pytest.mark.parametrize("how", ["used", "over"])
async def test_a_reward_that_is_used_or_over_is_not_told_of_though_no_day_brought_it(
    database: Database, setting: Setting, how: str
) -> None:
    story = Everything(database, setting, "on: reward_issued", "late: 60 days")
    if how == "used":
        story.does(lambda unit: use(unit, story.reward(), "till"))
    else:
        story.clock.advance(timedelta(days=31))
    assert await story.told() == []
    assert [row[3] for row in story.messages()] == ["no_longer"]


async def test_a_digest_names_the_rewards_that_are_left(database: Database, setting: Setting) -> None:
    text = everything("on: reward_issued", "digest: 1 day").replace(
        SAYS["reward_issued"], "{% for item in items %}{{ item.reward.code }} {% endfor %}"
    )
    letters = Letters(database, setting, text, box := Box())
    letters.joins()
    for number in range(3):
        letters.buys(f"O{number}", 10)
    known = rows(database, select(redemption.c.id).order_by(redemption.c.id))
    codes: dict[str, str] = {}

    def uses(*ids: str) -> None:
        def work(unit: Any) -> Answer:
            codes.update({id_: one.voucher.code for id_, one in unit.rewarding.find(ids=ids).items()})
            for id_ in ids:
                use(unit, id_, "till")
            return Answer(status=200, body={})

        letters.act(work)

    uses(known[0].id)
    letters.clock.advance(timedelta(days=2))
    await letters.post()
    (told,) = box.sent
    assert codes[known[0].id] not in told.text
    assert len(told.text.partition("\n")[0].split()) == 2


@on_sqlite
async def test_an_end_of_the_program_is_told_once_also_late_and_to_those_who_came_late(
    database: Database, setting: Setting
) -> None:
    story = Everything(database, setting, "on: 10 days before program_ends")
    await story.ticks("2026-12-20T11:00")
    assert await story.told() == []
    # Nobody looked on the tenth day before.
    await story.ticks("2026-12-23T11:00")
    assert await story.told() == ["until 2026-12-31, 8 days"]
    await story.ticks("2026-12-24T11:00")
    assert await story.told() == []
    story.joins("bob")
    await story.ticks("2026-12-31T11:00")
    assert await story.told() == ["until 2026-12-31, 0 days"]
    await story.ticks("2027-01-01T11:00")
    assert await story.told() == []
    assert len(story.messages()) == 2


@on_sqlite
async def test_an_end_that_is_over_when_its_message_could_leave_is_not_told(
    database: Database, setting: Setting
) -> None:
    story = Everything(database, setting, "on: 10 days before program_ends")
    await story.ticks("2026-12-31T11:00")
    story.clock.advance(timedelta(days=1))
    assert await story.told() == []
    assert [row[2] for row in story.messages()] == ["dropped"]


ANNIVERSARY = (
    PROGRAM.replace("rules:\n", "rules:\n  - {id: year, on: anniversary, award: 500}\n")
    + "messages:\n  year: {on: anniversary, use: birthday, purpose: transactional}\n"
)


@pytest.mark.parametrize("known_since", ["2026-12-31T23:30", "2024-05-01T12:00"])
async def test_nobody_is_congratulated_or_paid_on_the_day_of_joining(
    database: Database, setting: Setting, known_since: str
) -> None:
    letters = Letters(database, setting, ANNIVERSARY, box := Box())
    # In Berlin it is 2027 already.
    letters.clock.advance(moment("2026-12-31T22:00") - letters.clock.now())
    await letters.timer.tick()
    letters.clock.advance(moment("2026-12-31T23:30") - letters.clock.now())
    ann = letters.joins()
    long_since = update(member).where(member.c.id == ann).values(joined_at=to_micros(moment(known_since)))
    database.write_now(lambda connection: connection.execute(long_since))
    assert await ticks_at(letters, "2027-01-01T12:00") == []
    assert letters.points() == 0
    assert len(await ticks_at(letters, "2028-01-01T12:00")) == 1
    assert (letters.points(), len(box.sent)) == (500, 1)
