"""What is reported of messages and answers is what a recount of the rows comes to, whatever became of them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update
from tests.core.letters import Box, Letters, with_messages

from stampcard.applying.setting import Setting
from stampcard.clock import from_micros, to_micros
from stampcard.domain.events import MessageReported
from stampcard.domain.messages import RANKS
from stampcard.plugin import Delivered, Outcome, Rejected, RetryLater, Unknown
from stampcard.storage.database import Database
from stampcard.storage.messages import load_messages, mark
from stampcard.storage.reporting import Question, tell
from stampcard.storage.tables import message, message_step, tier
from stampcard.testing.applying import apply, prepare, rows, store

PROGRAM = with_messages("""
sending: {quiet: {sms: none}}
campaigns: {spring: {}}
messages:
  earned: {on: points_earned, use: points_earned, channels: [email, sms], deliver: all, purpose: transactional}
  asked:
    on: points_earned
    use: feedback
    campaign: spring
    purpose: transactional
    question: {kind: score, texts: {en: How was it?}}
""")
STATES = ("delivered", "opened", "clicked", "bounced", "failed", "unsubscribed", "complained")
_numbers = itertools.count(1)


def told(letters: Letters, report: str, **more: Any) -> Sequence[Mapping[str, Any]]:
    """The rows of a report."""
    now = letters.clock.now()
    question = Question(report=report, **more)
    return letters.database.read_now(
        lambda c: tell(c, letters.setting.merchant, letters.setting.programs, question, now)
    ).rows


def day(micros: int) -> date:
    """The day in Berlin, as the reports count."""
    return from_micros(micros).astimezone(ZoneInfo("Europe/Berlin")).date()


def money(fine: int) -> Decimal:
    """Ten-thousandths as money."""
    return (Decimal(fine) / 10_000).quantize(Decimal("0.01"))


def recounted(letters: Letters, first: date, last: date) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What became of messages, by name, channel and language, in plain Python."""
    of: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in rows(letters.database, select(message).where(message.c.merchant == letters.setting.merchant)):
        if not row.test and first <= day(row.created_at) <= last:
            of[row.name, row.channel, row.language].append(row)
    steps: dict[int, set[str]] = defaultdict(set)
    for row in rows(letters.database, select(message_step)):
        steps[row.message].add(row.state)

    def reached(found: Sequence[Any], *states: str) -> int:
        return sum(bool(steps[row.id] & set(states)) for row in found)

    return {
        key: {
            "waiting": sum(row.state in {"waiting", "attempting"} for row in found),
            "dropped": sum(row.state == "dropped" for row in found),
            "unknown": sum(row.state == "unknown" for row in found),
            "left": sum(RANKS[row.state] >= RANKS["queued"] and row.state != "rejected" for row in found),
            **{state: reached(found, state) for state in STATES if state != "failed"},
            "failed": reached(found, "failed", "rejected"),
            "answered": sum(row.answered_at is not None for row in found),
            "parts": sum(row.parts for row in found),
            "cost": money(sum(row.cost for row in found)),
        }
        for key, found in of.items()
    }


def answered(letters: Letters, first: date, last: date) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What was answered, by message, tier and choice, in plain Python."""
    have = {row.member: row.name for row in rows(letters.database, select(tier))}
    of: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in rows(letters.database, select(message)):
        if row.answered_at is not None and first <= day(row.answered_at) <= last:
            of[row.name, have.get(row.member, ""), row.choice].append(row.score)
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for key, every in of.items():
        scores = [one for one in every if one is not None]
        found[key] = {
            "campaign": {"asked": "spring"}.get(key[0], ""),
            "audience": "",
            "answers": len(every),
            "scored": len(scores),
            "score": (Decimal(sum(scores)) / len(scores)).quantize(Decimal("0.01")) if scores else None,
            "promoters": sum(one >= 9 for one in scores),
            "detractors": sum(one <= 6 for one in scores),
        }
    return found


def check(letters: Letters, back: int) -> None:
    """Both reports on the last days are what is counted by hand."""
    last = day(to_micros(letters.clock.now()))
    first = last - timedelta(days=back)
    for report, expected in (
        ("messages", recounted(letters, first, last)),
        ("answers", answered(letters, first, last)),
    ):
        names = ("message", "channel", "language") if report == "messages" else ("message", "tier", "choice")
        found = {tuple(row[name] for name in names): row for row in told(letters, report, first=str(first))}
        assert found.keys() == expected.keys()
        for key, figures in expected.items():
            assert {name: found[key][name] for name in figures} == figures, key


def reports(letters: Letters, id_: str, *states: Any) -> None:
    """The channel tells what became of a message, in this order."""
    for state in states:
        at = letters.clock.now()
        (delivery,) = store(letters.database, letters.setting, b"{}", connection="mail")
        event = MessageReported(channel="email", state=state, occurred_at=at, message=id_)
        told_of = prepare(delivery, event, source="mail")
        assert [one.status for one in apply(letters.database, letters.setting, [told_of], at)] == ["done"]
        letters.clock.advance(timedelta(seconds=1))


def answers(letters: Letters, id_: int, score: int | None, choice: str) -> None:
    """A member answers the question of a message."""
    at = to_micros(letters.clock.now())
    letters.database.write_now(
        lambda c: c.execute(
            update(message).where(message.c.id == id_).values(answered_at=at, score=score, choice=choice)
        )
    )


def is_in(letters: Letters, customer: str, name: str) -> None:
    """A member reaches a tier, whatever they had."""
    id_ = letters.member(customer)
    row = {"merchant": "main", "member": id_, "program": "main", "name": name, "since": 0, "state": "held"}

    def work(connection: Any) -> None:
        connection.execute(tier.delete().where(tier.c.member == id_))
        connection.execute(insert(tier), [row])

    letters.database.write_now(work)


async def test_a_mail_that_arrived_was_opened_and_bounced_later_counts_as_all_three(
    database: Database, setting: Setting
) -> None:
    letters = Letters(database, setting, PROGRAM, box := Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    await letters.post()
    (mail,) = [one for one in box.sent if one.name == "earned"]
    reports(letters, mail.id, "delivered", "opened", "bounced")
    (row,) = [row for row in told(letters, "messages") if (row["message"], row["language"]) == ("earned", "en")]
    counted = ("left", "delivered", "opened", "bounced", "clicked", "failed", "dropped", "waiting", "unknown")
    assert [row[name] for name in counted] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert row["delivery_rate"] == Decimal(1)
    (dropped,) = [row for row in told(letters, "messages") if row["channel"] == "sms"]
    assert (dropped["dropped"], dropped["left"], dropped["delivery_rate"]) == (1, 0, None)
    check(letters, 0)


async def test_what_is_reported_several_times_counts_once(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, PROGRAM, box := Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    await letters.post()
    reports(letters, box.sent[0].id, "opened", "opened", "delivered", "opened", "clicked", "clicked", "delivered")
    check(letters, 0)
    (row,) = [row for row in told(letters, "messages") if row["message"] == box.sent[0].name and row["left"]]
    assert (row["delivered"], row["opened"], row["clicked"]) == (1, 1, 1)


async def test_a_message_whose_text_fails_was_dropped_and_says_why(database: Database, setting: Setting) -> None:
    text = "{% for one in (1..9999) %}x{% endfor %}"
    says = f'{{en: {{subject: Hi, text: "{text}"}}}}'
    program = with_messages(f"messages:\n  m: {{on: sign_up, purpose: transactional, texts: {says}}}\n")
    letters = Letters(database, setting, program, Box())
    letters.joins()
    await letters.post()
    assert letters.messages() == [("m", "email", "dropped", "text_failed")]
    (step,) = rows(database, select(message_step))
    assert (step.code, "en: loop iteration limit reached" in step.detail) == ("text_failed", True)
    check(letters, 0)


async def test_a_trial_counts_nowhere(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, PROGRAM, Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    await letters.post()
    database.write_now(lambda c: c.execute(update(message).values(test=1)))
    assert list(told(letters, "messages")) == []


async def test_a_message_counts_on_the_day_it_was_written_down_and_an_answer_on_its_own(
    database: Database, setting: Setting
) -> None:
    letters = Letters(database, setting, PROGRAM, Box(), Box("sms"))
    letters.joins()
    # Half past eleven at night in Berlin: another day in UTC a minute from then is the same day there.
    letters.clock.advance(timedelta(hours=10, minutes=30))
    letters.buys("O1", 20)
    await letters.post()
    letters.clock.advance(timedelta(hours=1))
    (asked,) = [row for row in rows(database, select(message)) if row.name == "asked"]
    answers(letters, asked.id, 10, "")
    assert [str(day(row.created_at)) for row in rows(database, select(message))] == ["2026-03-10"] * 3
    assert len(told(letters, "messages", first="2026-03-10", last="2026-03-10")) == 3
    assert list(told(letters, "messages", first="2026-03-11", last="2026-03-11")) == []
    assert list(told(letters, "answers", first="2026-03-10", last="2026-03-10")) == []
    (row,) = told(letters, "answers", first="2026-03-11", last="2026-03-11")
    assert (row["message"], row["campaign"], row["score"], row["promoter_share"]) == (
        "asked", "spring", Decimal("10.00"), Decimal(1),
    )  # fmt: skip


async def test_answers_are_told_with_whom_they_were_asked_of(database: Database, setting: Setting) -> None:
    tiers = "tiers: {by: points, within: 12 months, levels: {silver: 0, gold: 1000}}\n"
    text = PROGRAM.replace("    campaign: spring\n", "    campaign: spring\n    who: {tiers: silver}\n")
    letters = Letters(database, setting, text.replace("sending:", f"{tiers}sending:"), Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    await letters.post()
    (asked,) = [row for row in rows(database, select(message)) if row.name == "asked"]
    answers(letters, asked.id, 10, "")
    (row,) = told(letters, "answers")
    assert (row["campaign"], row["audience"], row["tier"]) == ("spring", "silver", "silver")


async def test_nothing_of_another_merchant_is_in_it(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, PROGRAM, Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    await letters.post()
    letters.setting = replace(letters.setting, merchant="another")
    assert list(told(letters, "messages")) == list(told(letters, "answers")) == []


OUTCOMES = ("sent", "later", "lost", "refused")


def happening(random: Random) -> tuple[Any, ...]:
    """Something that may happen to messages, or to those who get them."""
    of, someone = random.randrange(50), random.choice(["ann", "ben", "cem"])
    return random.choice(
        [
            ("buys", someone),
            ("post", random.choices(OUTCOMES, k=4)),
            ("waits", random.choice([60, 3_600, 90_000])),
            ("reports", of, random.choice(STATES)),
            ("reports", of, random.choice(STATES)),
            ("answers", of, random.choice([None, *range(11)]), random.choice(["", "good", "bad"])),
            ("costs", of, random.randrange(1, 9), random.randrange(99_999)),
            ("rises", someone),
        ]
    )


def outcome(what: str) -> Outcome:
    match what:
        case "later":
            return RetryLater(reason="busy")
        case "lost":
            return Unknown(reason="no answer")
        case "refused":
            return Rejected(reason="no")
    return Delivered(result={"id": f"v{next(_numbers)}"})


@pytest.mark.parametrize(
    ("database_url", "seed"),
    [*(("sqlite", seed) for seed in range(8)), *(("postgresql", seed) for seed in range(2))],
    indirect=["database_url"],
)
async def test_both_reports_are_what_a_recount_comes_to_whatever_happened(
    database: Database, setting: Setting, seed: int
) -> None:
    random, boxes = Random(seed), (Box(), Box("sms"))
    letters = Letters(database, setting, PROGRAM, *boxes)
    for customer, language in (("ann", "en"), ("ben", "nl"), ("cem", "ar")):
        letters.joins(customer, language=language, phone="+4915112345678")
        letters.buys(f"O-{customer}", 20, customer=customer)
    for number in range(25):
        what, *more = happening(random)
        known = rows(database, select(message).order_by(message.c.id))
        match what:
            case "buys":
                letters.buys(f"O{number}", 20, customer=more[0])
            case "post":
                for box in boxes:
                    box.answers = [outcome(name) for name in more[0]]
                await letters.post()
            case "waits":
                letters.clock.advance(timedelta(seconds=more[0]))
            case "rises":
                is_in(letters, more[0], random.choice(["green", "gold"]))
            case _:
                about(letters, what, known[more[0] % len(known)], *more[1:])
        check(letters, random.randrange(4))


def about(letters: Letters, what: str, one: Any, *more: Any) -> None:
    """Something happens to one message."""
    match what:
        case "reports" if one.state not in {"waiting", "dropped"}:
            reports(letters, str(one.id), more[0])
        case "answers":
            answers(letters, one.id, *more)
        case "costs":
            costs = update(message).where(message.c.id == one.id).values(parts=more[0], cost=more[1])
            letters.database.write_now(lambda c: c.execute(costs))


def test_a_message_that_was_refused_and_failed_later_counts_once(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, PROGRAM, Box(), Box("sms"))
    letters.joins()
    letters.buys("O1", 20)
    (one, *_) = rows(database, select(message).where(message.c.name == "earned", message.c.channel == "email"))

    def work(connection: Any) -> None:
        for state in ("rejected", "failed"):
            stored = load_messages(connection, "main", [one.id], letters.setting.sealer, lock=True)[one.id]
            mark(connection, "main", stored, state, letters.clock.now())

    database.write_now(work)
    check(letters, 0)
