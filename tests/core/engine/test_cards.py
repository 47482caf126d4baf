"""What a card shows: its program's design, and figures as the member reads them."""

from __future__ import annotations

import pytest

from stampcard.domain.passes import PassPush
from stampcard.domain.value import replace
from stampcard.engine.cards import design_of, digest_of, fields_of
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
wallets: {points: {scale: 2}}
tiers: {by: spend, within: ever, levels: {basic: 0, gold: {from: 100, name: Gold Club}}}
rewards: {mug: {name: A mug, gives: merchandise, price: 5}}
sending: {language: nl, logo: 'https://shop.example/mail.png', colour: '#102030', page: 'https://shop.example/me'}
"""


def live(card: str = "{}", text: str = PROGRAM) -> LiveProgram:
    return compiled(read_program(f"{text}card: {card}\n", "test"), 1, LONG_AGO)


def test_a_card_that_says_nothing_looks_like_the_programs_mails() -> None:
    design = design_of(live())
    assert (design.name, design.issuer) == ({"nl": "Beans"}, {"nl": "Beans"})
    assert (design.logo, design.colour, design.page) == (
        "https://shop.example/mail.png", "#102030", "https://shop.example/me",
    )  # fmt: skip
    assert (design.barcode, design.banner) == ("qr", "")
    assert {name: words["nl"] for name, words in design.labels.items()} == {
        "points": "Punten", "tier": "Niveau", "next_reward": "Volgende beloning",
    }  # fmt: skip


@pytest.mark.parametrize("drawn", ["code: qr", "code: pdf417", "code: aztec", "code: code_128"])
def test_a_card_looks_as_the_program_says(drawn: str) -> None:
    design = design_of(
        live(
            f"{{{drawn}, name: {{en: Bean Card}}, issuer: {{en: Beans Ltd, nl: Bonen BV}}, banner: 'https://shop.example/b.png', "
            "logo: 'https://shop.example/l.png', colour: '#abcdef', fields: [tier, {show: points, label: {nl: Bonen}}]}"
        )
    )
    assert design.barcode == drawn.removeprefix("code: ")
    assert design.name == {"en": "Bean Card", "nl": "Bean Card"}, "people whose language has none read what there is"
    assert design.issuer == {"en": "Beans Ltd", "nl": "Bonen BV"}
    assert (design.logo, design.banner, design.colour) == (
        "https://shop.example/l.png", "https://shop.example/b.png", "#abcdef",
    )  # fmt: skip
    assert list(design.labels) == ["tier", "points"]
    assert (design.labels["points"]["nl"], design.labels["points"]["en"]) == ("Bonen", "Points")


def test_figures_are_written_as_the_member_reads_them() -> None:
    of = live("{fields: [points, points_expire_on, tier, next_tier, next_reward, rewards]}")
    texts = {
        "points": "1250.50", "points_expire_on": "2026-12-31", "tier": "gold", "next_tier": "", "next_reward": "mug",
        "rewards": "3",
    }  # fmt: skip
    assert [(one.name, one.text, one.number) for one in fields_of(of, texts, "nl")] == [
        ("points", "1.250,5", "1250.50"), ("points_expire_on", "31 dec 2026", ""), ("tier", "Gold Club", ""),
        ("next_reward", "A mug", ""), ("rewards", "3", "3"),
    ]  # fmt: skip
    assert fields_of(of, texts, "en-GB")[0].text == "1,250.5"
    assert fields_of(of, texts, "no language")[0].text == "1,250.5"


def test_a_digest_tells_what_is_shown_apart_and_nothing_else() -> None:
    push = PassPush(
        member="m", version=1, serial="s", language="nl", design=design_of(live()), holder="Ann", number="1", code="S1",
        page="https://shop.example/pass/1",
    )  # fmt: skip
    same = (replace(push, version=2), replace(push, notify=True))
    other = (
        replace(push, holder="Bo"),
        replace(push, active=False),
        replace(push, design=design_of(live("{code: aztec}"))),
    )
    assert {digest_of(one) for one in (push, *same)} == {digest_of(push)}
    assert len({digest_of(one) for one in (push, *other)}) == 4
