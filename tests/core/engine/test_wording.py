"""Every code that a decision gives has its sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stampcard import engine
from stampcard.domain.awards import Charge
from stampcard.domain.decisions import Reason
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot
from stampcard.engine.deciding import decide_order
from stampcard.engine.wording import WORDS, charge_words, lot_words, sentence
from stampcard.testing.building import NOON, absorbed, order, refund, world

SOURCES = Path(engine.__path__[0])
#: Functions whose answer becomes a code.
GIVING = {"closed_to", "campaign_refusal", "redeeming_closed", "_outside", "barred", "not_taking_part", "not_redeeming"}
BERLIN = ZoneInfo("Europe/Berlin")
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {scale: 2}}
campaigns: {spring: {during: {dates: 2026-04-01..2026-04-30}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, limits: 50 points per month}
  - {id: big, on: purchase, when: order.total >= 500, award: 10}
  - {id: morning, on: purchase, award: 10, during: {weekdays: [mon, tue], hours: "08:00-11:00"}}
  - {id: april, on: purchase, award: 10, campaign: spring}
  - {id: loved, on: purchase, award: 10, when: member.attributes.colour == 'red'}
  - {id: sorry, on: refund, award: 1}
attributes: {colour: string}
"""


#: What these refuse is told with its detail and kept nowhere: it needs a place on the page, and no words.
OF_CARTS = ("combining", "discounting", "evaluating")


def codes(*modules: str) -> set[str]:
    """The codes that the engine's sources give to reasons and pins, or those that these modules give."""
    found: set[str] = set()
    wanted = [path for path in SOURCES.glob("*.py") if (path.stem in modules if modules else path.stem not in OF_CARTS)]
    for path in wanted:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found.update(constant for value in given(node) for constant in constants(value))
    return found - {""}


def given(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.keyword(arg="code" | "refused" | "refusal"):
            yield node.value
        case ast.Assign(targets=[ast.Name(id="code")]):
            yield node.value
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[first, *_])):
            yield first
        case ast.FunctionDef(name=name) if name in GIVING:
            yield from (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value)
        case ast.AugAssign(target=ast.Name(id="out"), value=ast.ListComp(elt=ast.Tuple(elts=[_, code]))):
            yield code


def constants(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, not those that it compares with or calls."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from (*constants(body), *constants(other))
        case ast.Attribute(attr="state"):
            yield from ("draft", "ended")


def decided() -> dict[str, Reason]:
    before = world(TEXT)
    decision = decide_order(before, OrderSeen(reference="A", snapshot=order(60)), "shop", "ann", NOON)
    return {reason.rule: reason for reason in decision.reasons}


def test_every_code_that_the_engine_gives_has_words_and_no_other() -> None:
    assert codes() == set(WORDS)


def test_every_code_is_on_the_page_of_errors() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert {code for code in WORDS if f"| `{code}` |" not in page} == set()
    assert {code for code in codes(*OF_CARTS) if f"`{code}`" not in page} == set()


@pytest.mark.parametrize(
    ("rule", "ending"),
    [
        ("purchase", "leaves less than it would pay: 50 points per month (rule 'purchase')."),
        ("big", "does not apply: its condition is not true: order.total >= 500."),
        ("morning", "does not apply: it was not open at that time: open on mon, tue, 08:00-11:00."),
        ("april", "not open at that time: campaign spring, open on 2026-04-01..2026-04-30."),
        ("loved", "could not be decided: its condition failed: there is no 'colour' here: ask has() first."),
    ],
)
def test_a_reason_is_told_with_what_its_version_knows(rule: str, ending: str) -> None:
    told = sentence(decided()[rule], world(TEXT).programs.versions["main"][0])
    assert told.startswith(f"Rule {rule!r} ")
    assert told.endswith(ending)


def test_what_is_said_of_an_order_or_a_program_as_a_whole_names_no_rule() -> None:
    nobody = Reason(rule="", outcome="not_matched", code="no_customer")
    late = Reason(rule="main", outcome="not_matched", code="late", program="main")
    assert sentence(nobody) == "The order names no customer."
    assert sentence(late).startswith("Program 'main' pays nothing: it was first heard of longer")


def test_what_is_taken_back_says_why() -> None:
    before = world(TEXT, members=("ann", "ben"))
    seen = OrderSeen(reference="A", snapshot=order(60))
    after = absorbed(before, decide_order(before, seen, "shop", "ann", NOON))
    again = replace(seen, snapshot=order(60, age=1))
    reasons = decide_order(after, again, "shop", "ben", NOON).reasons
    assert any(sentence(reason).startswith("Rule 'purchase' is taken back: the order does not") for reason in reasons)


def test_a_refund_above_its_order_is_told_by_its_figures() -> None:
    before = world(TEXT)
    seen = OrderSeen(reference="A", snapshot=order(60))
    after = absorbed(before, decide_order(before, seen, "shop", "ann", NOON))
    reasons = decide_order(after, RefundSeen(order="A", refund=refund("R", money=90)), "shop", None, NOON).reasons
    assert "Refund R of 90 exceeds the order's 60." in [sentence(reason) for reason in reasons]


def test_a_lot_says_what_it_waits_for_and_its_last_day_in_the_programs_zone() -> None:
    new_year = NOON.replace(year=2026, month=12, day=31, hour=23)
    lot = Lot(
        number=1, amount=120, remaining=120, active=True, available_from=NOON, expires_at=new_year, occurred_at=NOON,
        subject="order:shop:A",
    )  # fmt: skip
    assert lot_words(lot, 0, BERLIN) == "120 points expire on 31 Dec 2026"
    assert lot_words(replace(lot, expires_at=None), 2, BERLIN) == "1.20 points never expire"
    assert lot_words(replace(lot, slides=True), 0, BERLIN).endswith("unless something gives them a later day")
    waiting = replace(lot, active=False, available_from=new_year, expires_at=None)
    assert lot_words(waiting, 0, BERLIN) == "120 points become usable on 1 Jan 2027 and never expire"
    waits = replace(waiting, waits_for="fulfilled", available_from=new_year + timedelta(days=1))
    assert lot_words(waits, 0, BERLIN) == "120 points wait for 'fulfilled' and lapse if it does not come by 1 Jan 2027"
    gone = replace(lot, remaining=0, expired=20, taken=30)
    assert lot_words(gone, 0, BERLIN) == (
        "nothing is left of 120 points: 70 spent or used up, 20 expired, 30 taken back"
    )


def test_a_charge_says_of_which_limit_it_uses_how_much() -> None:
    live = world(TEXT).programs.versions["main"][0]
    charge = Charge(
        scope="rule:purchase:points/month/member", period="2026-03", member="ann", amount=5000, reserved=5000
    )
    assert charge_words(charge, live) == "50.00 of 50 points per month (rule 'purchase') in 2026-03"
    assert charge_words(charge, None) == "5000 points/month/member (rule 'purchase') in 2026-03"
