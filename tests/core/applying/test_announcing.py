"""Every message goes on just what it is on: what happens to members, and what days bring them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.consenting import record_consent
from stampcard.applying.enrolling import confirm, leave
from stampcard.applying.redeeming import redeem, release, use
from stampcard.applying.requests import Answer, adjust, change_attributes
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent
from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.engine.rewarding import Asking
from stampcard.storage.database import Database
from stampcard.storage.tables import message
from stampcard.testing.applying import rows
from stampcard.testing.building import order

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
attributes: {birthday: date}
events: {review: {stars: integer}}
wallets: {points: {expire: 12 months, refunds: {policy: within_balance}}}
campaigns: {spring: {during: {dates: 2026-01-01..2026-12-31}}}
segments:
  germans: {when: member.attributes.country == "DE"}
perks:
  lounge: {name: The lounge, when: member.attributes.country == "DE", uses: 2 per month}
proofs:
  nurse: {valid: 1 year}
plans:
  plus: {skus: PLUS, lasts: 30 days, trial: 14 days}
tiers:
  by: points
  within: 12 months
  notice: 30 days
  levels: {silver: 0, gold: {from: 100, name: Gold}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
rewards:
  mug: {name: A mug, gives: merchandise, price: 50}
  voucher: {name: 5 % off, gives: 5 % off, by: own, price: 20, valid: 30 days}
sending:
  language: en
  quiet: {sms: 21:00-08:00, email: none}
  caps: [50 per week, 40 per day by email, 45 per month by email for marketing, 60 per month for marketing]
  address: Bean Club, 1 Bean Street
  page: https://shop.example/club
  logo: https://shop.example/logo.png
  colour: "#336699"
  confirm_within: 3 days
  allow: [boss@shop.example]
  channels: {email: mail}
  layout: |
    <mjml><mj-body><mj-section><mj-column><mj-text>{{ content }}</mj-text></mj-column></mj-section></mj-body></mjml>
messages:
  it:
    name: What is tried
    enabled: true
    on: EVENT
    purpose: transactional
    channels: email
    deliver: first_that_works
    late: 3 days
    at: 09:30
    keep: 30 days
    link: https://shop.example/club
    texts:
      en: {subject: It is EVENT, text: "It is EVENT.", short: "EVENT", html: "<p>{{ today | date }} {{ content }}</p>"}
"""


def program(of: str, event: str, **more: Any) -> str:
    """The program with its one message on that."""
    text = of.replace("on: EVENT", f"on: {event}").replace("EVENT", event.replace("_", " "))
    for name, value in more.items():
        text = text.replace("    purpose: transactional\n", f"    purpose: transactional\n    {name}: {value}\n")
    return text


class Story(Letters):
    """A shop to which everything can happen."""

    def does(self, work: Any) -> Any:
        def act(unit: Unit) -> Answer:
            return Answer(status=200, body={"of": work(unit)})

        return self.act(act)["of"]

    def gives(self, points: int, key: str = "gift") -> None:
        self.does(lambda unit: adjust(unit, self.member(), "points", points, key, "gift"))

    def moves(self, country: str) -> None:
        self.does(lambda unit: change_attributes(unit, self.member(), {"country": country}))

    def takes(self, reward: str) -> str:
        return str(self.does(lambda unit: redeem(unit, self.member(), reward, "", Asking()).id))

    def uses(self, id_: str) -> None:
        self.does(lambda unit: use(unit, id_, "till").id)

    async def told(self) -> list[str]:
        """The subjects of what has left by now, in order."""
        await self.timer.tick()
        await self.post()
        (box,) = self.boxes.values()
        assert isinstance(box, Box)
        return [one.subject for one in box.sent]


def earns(story: Story, amount: int = 10) -> None:
    story.buys("O1", amount)


def is_refunded(story: Story) -> None:
    earns(story)
    story.returns("O1", 10)


def takes(reward: str, then: str = "") -> Callable[[Story], None]:
    """Take a reward, and use it or give it up."""

    def work(story: Story) -> None:
        story.gives(60)
        id_ = story.takes(reward)
        if then == "use":
            story.uses(id_)
        elif then == "release":
            story.does(lambda unit: release(unit, id_, "out of stock").id)

    return work


def moves(*countries: str) -> Callable[[Story], None]:
    def work(story: Story) -> None:
        for country in countries:
            story.moves(country)

    return work


def reviews(story: Story) -> None:
    at = story.clock.now()
    story.tell(CustomEvent(name="review", customer="ann", key="r1", occurred_at=at, data={"stars": 5}))


#: What lets an event happen to Ann, who is a member, and the day by which it has.
EVENTS: dict[str, tuple[Callable[[Story], object], str]] = {
    "points_earned": (earns, ""),
    "points_spent": (takes("mug"), ""),
    "points_returned": (takes("mug", "release"), ""),
    "points_taken_back": (is_refunded, ""),
    "points_expired": (earns, "2027-03-12"),
    "reward_issued": (takes("voucher"), ""),
    "reward_used": (takes("voucher", "use"), ""),
    "reward_expired": (takes("voucher"), "2026-04-12"),
    "reward_in_reach": (lambda story: story.gives(25), ""),
    "tier_up": (lambda story: earns(story, 100), ""),
    "tier_ending": (lambda story: earns(story, 100), "2027-02-10"),
    "tier_down": (lambda story: earns(story, 100), "2027-03-12"),
    "segment_entered": (moves("DE"), ""),
    "segment_left": (moves("DE", "FR"), ""),
    "perk_gained": (moves("DE"), ""),
    "perk_lost": (moves("DE", "FR"), ""),
    "review": (reviews, ""),
    "membership_ended": (lambda story: story.does(lambda unit: leave(unit, story.member(), "main")), ""),
    "consent_asked": (lambda story: story.says("ann", "email", "pending"), ""),
    "birthday": (lambda _: None, "2026-05-10"),
    "anniversary": (lambda _: None, "2027-03-10"),
}


#: What a database might see differently; the rest is decided before one is asked.
STORED = ("points_earned", "reward_issued", "tier_up", "birthday")


@pytest.mark.parametrize(
    ("database_url", "event"),
    [*(("sqlite", event) for event in EVENTS), *(("postgresql", event) for event in STORED)],
    indirect=["database_url"],
)
async def test_a_message_goes_once_on_just_what_it_is_on(database: Database, setting: Setting, event: str) -> None:
    story = Story(database, setting, program(PROGRAM, event), Box())
    story.joins("ann", birthday="1990-05-10")
    # Nothing of what made Ann a member is what the message is on.
    assert await story.told() == []
    happen, day = EVENTS[event]
    happen(story)
    if day:
        await story.on(day)
    assert set(await story.told()) == {f"It is {event.replace('_', ' ')}"}
    count = len(await story.told())
    story.clock.advance(timedelta(seconds=5))
    assert len(await story.told()) == count


@on_sqlite
async def test_points_that_waited_are_told_once_they_are_usable(database: Database, setting: Setting) -> None:
    text = program(PROGRAM, "points_usable").replace(
        "expire: 12 months, refunds", "expire: 12 months, pending: 14 days, refunds"
    )
    story = Story(database, setting, text, Box())
    story.joins()
    story.buys("O1", 30)
    assert await story.told() == []
    await story.on("2026-03-26")
    assert await story.told() == ["It is points usable"]


@on_sqlite
async def test_whoever_joins_is_told_so_only_once_they_confirmed(database: Database, setting: Setting) -> None:
    text = program(PROGRAM, "sign_up").replace("currency: EUR\n", "currency: EUR\nenrolment: {confirm: 7 days}\n", 1)
    asked = text.replace("on: sign_up", "on: membership_asked")
    story = Story(database, setting, text, Box())
    story.joins()
    assert await story.told() == []
    story.does(lambda unit: confirm(unit, story.member(), "main"))
    assert await story.told() == ["It is sign up"]

    story.applies(asked)
    story.joins("bob")
    assert len(await story.told()) == 2


@on_sqlite
async def test_several_changes_become_one_message(database: Database, setting: Setting) -> None:
    text = (
        program(PROGRAM, "points_earned", digest="1 hour")
        .replace(
            '"It is points earned."',
            '"{{ points }} in {{ items.size }}: {% for one in items %}{{ one.points }} {% endfor %}"',
        )
        .replace(', html: "<p>{{ today | date }} {{ content }}</p>"', "")
    )
    story = Story(database, setting, text, box := Box())
    story.joins()
    for number, amount in enumerate((10, 20, 30)):
        story.buys(f"O{number}", amount)
        story.clock.advance(timedelta(minutes=10))
    assert await story.told() == []
    story.clock.advance(timedelta(minutes=31))
    await story.told()
    assert [one.text.splitlines()[0] for one in box.sent] == ["60 in 3: 10 20 30"]
    story.buys("O9", 5)
    story.clock.advance(timedelta(minutes=61))
    assert len(await story.told()) == 2


@on_sqlite
@pytest.mark.parametrize(
    ("more", "goes"),
    [
        ({"when": "event.data.points >= 10.0"}, True),
        ({"when": "event.data.points > 10.0"}, False),
        ({"when": "member.tier == 'gold'"}, False),
        ({"who": "{tiers: silver}"}, True),
        ({"who": "{segments: germans}"}, False),
        ({"who": "{share: 100 %}"}, True),
        ({"campaign": "spring"}, True),
        ({"when": "history.orders.ever >= 1"}, True),
    ],
)
async def test_conditions_audience_and_campaign_decide_whom_it_is_for(
    database: Database, setting: Setting, more: dict[str, str], goes: bool
) -> None:
    story = Story(database, setting, program(PROGRAM, "points_earned", **more), Box())
    story.joins()
    story.buys("O1", 10)
    assert len(await story.told()) == int(goes)


@on_sqlite
async def test_nothing_is_told_of_a_program_that_is_only_tested_but_to_those_allowed(
    database: Database, setting: Setting
) -> None:
    text = program(PROGRAM, "points_earned").replace(
        "program: main\n", "program: main\nstate: test\naudience: {members: ['shop:ann', 'shop:boss']}\n"
    )
    story = Story(database, setting, text, box := Box())
    story.joins("ann")
    story.joins("boss", email="boss@shop.example")
    story.buys("O1", 10, customer="ann")
    story.buys("O2", 10, customer="boss")
    await story.told()
    assert [one.to for one in box.sent] == ["boss@shop.example"]
    assert ("it", "email", "dropped", "not_allowed") in story.messages()


async def test_a_message_that_is_not_enabled_is_not_sent(database: Database, setting: Setting) -> None:
    story = Story(
        database, setting, program(PROGRAM, "points_earned").replace("enabled: true", "enabled: false"), Box()
    )
    story.joins()
    story.buys("O1", 10)
    assert (await story.told(), story.messages()) == ([], [])


@on_sqlite
async def test_what_comes_from_elsewhere_is_told_nobody(database: Database, setting: Setting) -> None:
    story = Story(database, setting, program(PROGRAM, "points_earned"), Box())
    story.joins()
    at = story.clock.now() - timedelta(days=30)
    event = OrderSeen(reference="old", snapshot=order(40, at=at, customer="ann"))
    story.tell_past(event)
    assert (await story.told(), story.messages()) == ([], [])


@on_sqlite
async def test_one_channel_is_tried_after_the_other_or_all_at_once(database: Database, setting: Setting) -> None:
    both = program(PROGRAM, "points_earned").replace("channels: email\n", "channels: [email, sms]\n", 1)
    story = Story(database, setting, both, mail := Box(), sms := Box("sms"))
    story.joins(email="", phone="+4915112345678")
    story.buys("O1", 10)
    await story.timer.tick()
    await story.post()
    assert (len(mail.sent), [one.text for one in sms.sent]) == (0, ["points earned"])

    every = both.replace("deliver: first_that_works", "deliver: all")
    story.applies(every)
    story.tell_attributes("ann", email="ann@example.com")
    story.buys("O2", 10)
    await story.post()
    assert (len(mail.sent), len(sms.sent)) == (1, 2)


@on_sqlite
async def test_what_was_asked_for_does_not_wait_for_the_night_to_end(database: Database, setting: Setting) -> None:
    text = program(PROGRAM, "points_earned").replace("email: none", "email: 11:00-20:00")
    story = Story(database, setting, text, Box())
    story.joins(timezone="Europe/Berlin")
    story.buys("O1", 10)
    assert await story.told() == []
    (row,) = rows(database, select(message))
    assert row.reason == "quiet_hours"
    story.clock.advance(timedelta(hours=7, minutes=1))
    assert await story.told() == ["It is points earned"]


def consent(at: Any, state: Any) -> Consent:
    return Consent(channel="email", purpose="marketing", state=state, at=at, recorded_at=at)


@on_sqlite
async def test_a_cap_counts_what_left_within_its_window(database: Database, setting: Setting) -> None:
    text = (
        program(PROGRAM, "points_earned")
        .replace("purpose: transactional", "purpose: marketing")
        .replace(
            "caps: [50 per week, 40 per day by email, 45 per month by email for marketing, 60 per month for marketing]",
            "caps: 2 per day by email for marketing",
        )
    )
    story = Story(database, setting, text, Box())
    member = story.joins()
    now = story.clock.now()
    story.does(lambda unit: record_consent(unit, member, consent(now, "given")))
    for number in range(3):
        story.buys(f"O{number}", 10)
    assert len(await story.told()) == 2
    story.clock.advance(timedelta(hours=23))
    assert len(await story.told()) == 2
    story.clock.advance(timedelta(hours=1, minutes=1))
    assert len(await story.told()) == 3
