"""One question, answered once, in the form that it asks for."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from tests.core.letters import Box, Letters

from stampcard.applying.answering import Reply, answer, check_reply, opened
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.tokens import token_of
from stampcard.errors import RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.tables import message
from stampcard.testing.applying import rows

SCORE = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: thanks, on: answered, award: 5}
messages:
  feedback:
    on: points_earned
    use: feedback
    purpose: transactional
    question: {kind: score, texts: {en: How was it?}}
"""
CHOICE = SCORE.replace("{kind: score, ", "{kind: choice, choices: [good, bad], ")
WORDS = SCORE.replace("kind: score", "kind: text")


@pytest.mark.parametrize(
    ("text", "reply", "wrong"),
    [
        (SCORE, Reply(score=10, text="Lovely"), (Reply(), Reply(score=11), Reply(score=-1), Reply(choice="good"))),
        (CHOICE, Reply(choice="bad"), (Reply(), Reply(choice="so-so"), Reply(score=3))),
        (WORDS, Reply(text="Warm and quick"), (Reply(), Reply(text="  "))),
    ],
    ids=["kind: score", "kind: choice", "kind: text"],
)
async def test_a_question_takes_one_answer_of_its_own_kind_and_pays_for_it(
    database: Database, setting: Setting, text: str, reply: Reply, wrong: tuple[Reply, ...]
) -> None:
    letters = Letters(database, setting, text, Box())
    member = letters.joins()
    letters.buys("O1", 10)
    await letters.post()
    (row,) = rows(database, select(message))
    token = token_of(letters.setting.sealer, "main", "q", row.id)
    now = letters.clock.now()
    found = database.read_now(lambda c: opened(c, letters.setting, "q", token, now))
    assert found is not None
    assert found.terms is not None
    for one in wrong:
        with pytest.raises(RequestRefused):
            check_reply(found.terms, one)
    check_reply(found.terms, reply)

    def work(unit: Unit) -> Answer:
        return Answer(status=200, body={"fresh": answer(unit, member, found, reply)})

    told: list[Any] = [letters.act(work) for _ in range(2)]
    assert [one["fresh"] for one in told] == [True, False]
    assert letters.points() == 15  # what it paid asks once more, and is not answered
    row, *_ = rows(database, select(message).order_by(message.c.id))
    assert (row.score, row.choice, row.answer_sealed is not None) == (reply.score, reply.choice, bool(reply.text))
    letters.proves()
