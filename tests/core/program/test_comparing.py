import pytest

from stampcard.program.comparing import changes
from stampcard.program.model import Program
from stampcard.program.reading import read_program

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
accept_late: 60 days
rates: {USD: 0.92}
attributes: {vip: boolean}
wallets:
  points: {expire: 12 months}
campaigns:
  summer: {variants: {a: 40 %, b: 40 %}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: welcome, on: sign_up, award: 100, campaign: summer}
"""


def read(text: str) -> Program:
    return read_program(text, "test")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1 per 1 EUR", "2 per 1 EUR", "rule buy: award 1 per 1 EUR → 2 per 1 EUR"),
        (
            "award: 1 per 1 EUR",
            "award: 1 per 1 EUR, when: order.total >= 20",
            "rule buy: when (none) → order.total >= 20",
        ),
        ("1 per 1 EUR}", "1 per 1 EUR, base: {tax: included}}", "rule buy: base.tax excluded → included"),
        ("1 per 1 EUR}", "1 per 1 EUR, expire: none}", "rule buy: expire (as its wallet) → none"),
        ("1 per 1 EUR}", "1 per 1 EUR, during: {weekdays: [mon, tue]}}", "rule buy: during.weekdays (none) → mon, tue"),
        ("1 per 1 EUR}", "1 per 1 EUR, enabled: false}", "rule buy: enabled true → false"),
        ("award: 100,", "award: 100, limits: 3 times per day,", "rule welcome: limits (none) → 3 times per day"),
        ("award: 100,", "award: 100, values: [{when: 'true', award: 5}],", "rule welcome: values.1.when (none) → true"),
        ("60 days", "30 days", "program: accept_late 60 days → 30 days"),
        ("vip: boolean", "vip: string", "program: attributes.vip boolean → string"),
        ("12 months", "24 months", "wallet points: expire 12 months → 24 months"),
        ("points: {expire: 12 months}", "points: {expire: 12 months}\n  gems: {}", "wallet gems is new"),
        ("a: 40 %", "a: 30 %", "campaign summer: variants.a 40 % → 30 %"),
        ("a: 40 %, b: 40 %", "b: 40 %, a: 40 %", "campaign summer: its variants are drawn in another order"),
        ("id: buy", "id: bye", "rule bye is new: 1 per 1 EUR on purchase"),
    ],
)
def test_each_change_is_told_in_words(old: str, new: str, said: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    if "gems" in text:
        text = text.replace("award:", "wallet: points, award:")
        before = TEXT.replace("award:", "wallet: points, award:")
    else:
        before = TEXT
    assert changes(read(before), read(text))[0] == said


def test_a_validity_without_an_end_is_told_apart_from_one_that_is_the_rewards() -> None:
    reward = "rewards: {mug: {gives: merchandise, valid: 30 days, values: [{when: 'true', gives: merchandise%s}]}}\n"
    as_it_is, own = read(TEXT + reward % ""), read(TEXT + reward % ", valid: none")
    assert changes(as_it_is, own) == ["program: rewards.mug.values.1.valid (as its reward) → none"]
    assert changes(own, as_it_is) == ["program: rewards.mug.values.1.valid none → (as its reward)"]
    assert changes(own, own) == []


def test_what_is_gone_and_in_another_order_is_told() -> None:
    lines = TEXT.splitlines()
    assert changes(read(TEXT), read("\n".join(lines[:-1]))) == ["rule welcome is gone"]
    swapped = "\n".join([*lines[:-2], lines[-1], lines[-2]])
    assert changes(read(TEXT), read(swapped)) == ["rules: their order is now welcome, buy"]


def test_the_same_and_the_first() -> None:
    assert changes(read(TEXT), read(f"# another comment\n{TEXT}")) == []
    assert changes(None, read(TEXT)) == ["program main is new"]
