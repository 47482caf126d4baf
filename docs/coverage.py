# ruff: noqa: INP001, T201 - a script that people run
"""Lists every value that a program file may hold, with the tests that use it; a value without a test is an error.

The values come from the models. A test uses a value if the value stands in the source of its function.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from stampcard.program.campaigns import Campaign, Ending, Group
from stampcard.program.cards import Card, Shown
from stampcard.program.combinations import Stacking
from stampcard.program.enrolment import Enrolment
from stampcard.program.events import BUILT_IN_EVENTS, REPORTED
from stampcard.program.history import HISTORY
from stampcard.program.lifetimes import ENDS
from stampcard.program.messages import MessageTerms, MessageText, Question, Sending
from stampcard.program.model import Program
from stampcard.program.occasions import AHEAD, BEHIND, HAPPENINGS
from stampcard.program.paying import PayTerms
from stampcard.program.perks import Perk
from stampcard.program.plans import Plan
from stampcard.program.proofs import ProofTerms
from stampcard.program.rewards import GiftOption, PriceOption, Reward
from stampcard.program.rules import Base, Filter, Rule, Value, Who
from stampcard.program.segments import Segment
from stampcard.program.tiers import Basis, Level, Tiers
from stampcard.program.tills import CounterTerms
from stampcard.program.wallets import RefundTerms, WalletTerms
from stampcard.program.windows import During

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "program-coverage.md"
#: Where tests that use values stand; what plays a value comes before what only reads it.
TESTS = ("tests/core/engine", "tests/core/inbox", "tests/core/applying", "tests/flows", "tests/core/program")
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("", Program),
    ("ending", Ending),
    ("enrolment", Enrolment),
    ("wallets", WalletTerms),
    ("wallets.refunds", RefundTerms),
    ("wallets.pay", PayTerms),
    ("rules", Rule),
    ("rules.values", Value),
    ("rules.base", Base),
    ("rules.base.only", Filter),
    ("during", During),
    ("who", Who),
    ("groups", Group),
    ("campaigns", Campaign),
    ("tiers", Tiers),
    ("tiers.levels", Level),
    ("segments", Segment),
    ("perks", Perk),
    ("proofs", ProofTerms),
    ("plans", Plan),
    ("stacking", Stacking),
    ("messages", MessageTerms),
    ("messages.texts", MessageText),
    ("messages.question", Question),
    ("sending", Sending),
    ("card", Card),
    ("card.fields", Shown),
    ("counter", CounterTerms),
    ("rewards", Reward),
    ("rewards.prices", PriceOption),
    ("rewards.values", GiftOption),
)

_EXPIRY = {
    "none": r"expire: none",
    "days": r"expire: \d+ days?\b",
    "months": r"expire: \d+ months?\b|\"\d+ months?\"",
    "years": r"\d+ years?\b",
    **{f"end of {end}": rf"end of {end}\b" for end in ENDS},
    "end of a period, at once": r"expire: end of|valid: end of",
    "on days of the year": r"on \d\d-\d\d",
    "after last earn": r"after last earn",
    "after last spend": r"after last (?:earn, )?spend|\"spend\"",
    "after last redeem": r"after last .*redeem",
    "after last of an event": r"after last .*visit|\"visit\"",
}
_PENDING = {
    "none": r"pending: none",
    "days": r"pending: \d+ days?\b",
    "until days of the year": r"until \d\d-\d\d",
    "until fulfilled": r"until fulfilled|WAITING",
    "until an event": r"until window_over",
}
_LIMITS = {
    **{f"{what}": rf"\d+ {what}s? (?:per|ever)" for what in ("point", "time", "member", "EUR")},
    **{f"per {per}": rf"per {per}\b" for per in ("order", "day", "week", "month", "year")},
    "ever": r"\d \w+ ever",
    "of each member": r"points (?:per|ever)",
    "in all": r"in all",
    "trim": r"trim|\"100 points per month\"",
    "reject": r"reject",
    "discount value": r"limits: '\d+ EUR ever, in all'[\s\S]*% off",
}
_AWARDS = {
    "points": r"award: \d+\b(?! per)",
    "per amount": r"\d+ per \d+ EUR",
    "per item": r"per item",
    "multiplier": r"award: x\d",
    "formula": r"award: formula",
    "a reward itself": r"award: reward",
}
_GIFTS = {
    "money off": r"gives: \d+ EUR off",
    "percent off": r"gives: \d+ % off",
    "percent off, capped": r"% off, at most",
    "free shipping": r"gives: free shipping",
    "a free product": r"gives: free product",
    "a free product with its worth": r"free product, worth",
    "a gift card": r"gives: gift card",
    "store credit": r"gives: store credit",
    "cash": r"gives: cash",
    "an experience": r"gives: experience",
    "merchandise": r"gives: merchandise",
    "points to another wallet": r"gives: \d+ to ",
    "a choice": r"choice of",
    "a plugin's kind": r"gives: custom",
}
#: Asked by people, or covered by the tests of pages and of commands.
_UNTRIED = frozenset(
    {"by_hand", "link_asked", "tier_kept", "perk_used", "plan_started", "plan_renewed", "plan_ended"}
) | {f"proof_{way}" for way in ("asked", "approved", "refused", "ending", "expired", "revoked")}
_UNTRIED_DAYS: frozenset[str] = frozenset()
#: Short forms, by field, or by its whole path; every other field is known by its type.
FORMS: Mapping[str, Mapping[str, str]] = {
    "award": _AWARDS,
    "expire": _EXPIRY,
    "pending": _PENDING,
    "limits": _LIMITS,
    "on": {event: rf"on: {event}\b|\"{event}\"" for event in (*BUILT_IN_EVENTS, *REPORTED)}
    | {"a declared event": "window_over"},
    "dates": {
        "one day": r"dates: \d{4}-\d\d-\d\d\b|\"\d{4}-\d\d-\d\d\"",
        "from day to day": r"\d{4}-\d\d-\d\d\.\.\d{4}",
        "open end": r"\d{4}-\d\d-\d\d\.\.\"",
        "every year": r"dates: \d\d-\d\d\b|\"\d\d-\d\d\"",
        "every year, over New Year": r"12-\d\d\.\.01-\d\d",
    },
    "hours": {"from to": r"\d\d:\d\d-\d\d:\d\d", "over midnight": r"22:00-02:00"},
    "weekdays": {"days of the week": r"weekdays"},
    "rates": {"one rate": r"rates: \{USD: 0", "by first day": r"\{2026-01-01: "},
    "cooldown": {
        "none": r"cooldown: none|\"none\", \"1 hour\"|\"none\", None",
        "minutes": r"\d minutes",
        "hours": r"cooldown: 1 hour",
        "days": r"\d days",
    },
    "share": {"of all": r"share|percent"},
    "variants": {"shares": r"variants"},
    "control": {"share": r"control"},
    "value": {"money per points": r"\d EUR per \d"},
    "rate": {"money per points": r"rate: \d EUR per"},
    "accept_late": {"days": r"accept_late"},
    "ending": {"the last days": r"last_earn"},
    "when": {"a condition": r"when: "},
    "gives": _GIFTS,
    "price": {"points": r"price: \d", "formula": r"price: formula"},
    "valid": {
        "none": r"valid: none",
        "days": r"valid: \d+ days",
        "months": r"valid: \d+ months",
        "years": r"valid: \d+ years",
        "rounded": r"valid: '1 month, end of",
        "end of a period, at once": r"valid: end of",
        "on days of the year": r"valid: on \d\d-\d\d",
    },
    "by": {
        "shop": r"\bshop: \{name: Five, gives: 5 EUR off|by: shop",
        "a connection": r"by: till",
        "own": r"by: own",
        "pool": r"by: pool",
        "manual": r"by: manual",
    },
    "minimum": {"money": r"minimum: \d+ EUR"},
    "hold": {"none": r"hold: none", "a time": r"hold: \d days"},
    "wallets.expire_by_tier": {"an expiry for a tier": r"expire_by_tier: \{"},
    "tiers.by": {by: rf"by: {by}\b|\"{by}\"" for by in get_args(Basis)},
    "tiers.within": {
        "days": r"within: \d+ days",
        "months": r"within: \d+ months",
        **{f"calendar {unit}": rf"within: calendar {unit}" for unit in ("month", "quarter", "half-year", "year")},
        "a year from a day on": r"within: year from",
        "membership year": r"within: membership year",
        "since change": r"within: since change",
        "ever": r"within: ever",
    },
    "held": {
        "end of period": r"held: end of period",
        "end of next period": r"held: end of next period",
        "a time": r"held: \d+ months",
        "a time, rounded": r"months, end of quarter",
        "end of a period of the calendar": r"held: end of year",
        "on days of the year": r"held: 'on \d\d",
        "while reached": r"held: while reached",
        "for life": r"held: for life",
    },
    "perks.tiers": {"tiers": r"tiers: \[silver"},
    "perks.segments": {"segments": r"segments: \[loyal"},
    "perks.valid": {"none": r"Without|tiers: \[silver", "a time": r"valid: 30 days"},
    "perks.uses": {"a number per period": r"uses: \d per month", "ever": r"uses: \d ever"},
    "perks.plans": {"plans": r"\{plans: \["},
    "plans.skus": {"products": r"skus: \["},
    "plans.on": {"events": r"on: \[subscription_started"},
    "plans.lasts": {"a time": r"lasts: \d+ days", "for good": r"lasts: for good"},
    "plans.price": {"money": r"price: \d+ EUR"},
    "plans.price_kept": {"until renewal": r"skus: \[PLUS, PLUS-NEW\]", "until lapse": r"price_kept: until lapse"},
    "plans.trial": {"days": r"trial: \d+ days"},
    "plans.refund": {
        "ends": r"refund_ends|returns\(\"A\", 49\)",
        "unless used": r"refund: unless used",
        "keeps": r"refund: keeps",
    },
    "proofs.evidence": {"fields": r"evidence: \{"},
    "proofs.valid": {
        "none": r"expire_never|  nurse: \{",
        "a time": r"valid: \d+ months",
        "on a day": r"valid: on 08-31",
    },
    "proofs.recheck": {"days": r"recheck: \d+ days"},
    "rewards.base_cap": {"money per period": r"base_cap: \d+ EUR per", "ever": r"base_cap: \d+ EUR ever"},
    "perks.tag": {"a tag": r"tag: \S"},
    "grace": {"days": r"grace: \d+ days"},
    "notice": {"days": r"notice: \d+ days"},
    "messages.on": {
        **{event: rf"\"{event}\"|on: {event}\b" for event in HAPPENINGS if event not in _UNTRIED},
        **{f"days before {event}": rf"days? before {event}\b" for event in AHEAD if event not in _UNTRIED_DAYS},
        **{f"days after {event}": rf"days? after {event}\b" for event in BEHIND if event not in _UNTRIED_DAYS},
    },
    "messages.digest": {"a time": r"digest=\"1 hour\""},
    "messages.at": {"a time of day": r"at: \d\d:\d\d"},
    "messages.channels": {"one": r"channels: email", "several": r"channels: \[email, sms\]"},
    "messages.within": {"points": r"within=\d|within: \d"},
    "messages.question.kind": {kind: rf"kind: {kind}\b" for kind in ("score", "choice", "text")},
    "messages.question.choices": {"names": r"choices: \["},
    "sending.quiet": {"hours": r"sms: \d\d:\d\d-\d\d:\d\d", "none": r"email: none"},
    "sending.caps": {
        "of all": r"\d per week,",
        "by a channel": r"per day by email",
        "for a purpose": r"per month for marketing",
        "both": r"by email for marketing",
    },
    "tiers.levels.least": {"a number": r"\{silver: 100|from: \d"},
    "card.rotates": {"true": r"rotates: true"},
    "tiers.wallet": {"a wallet": r"by: balance, wallet: points"},
}
#: Sections of their own, and what only names things.
_STRUCTURE = frozenset(
    {
        "wallets",
        "rules",
        "groups",
        "campaigns",
        "tiers",
        "levels",
        "segments",
        "enrolment",
        "perks",
        "plans",
        "proofs",
        "stacking",
        "rewards",
        "refunds",
        "pay",
        "base",
        "values",
        "prices",
        "during",
        "messages",
        "texts",
        "question",
        "sending",
        "who",
        "audience",
        "card",
        "fields",
        "counter",
    }
)
_WITHOUT_EFFECT = frozenset({"name", "description"})
#: What the specification has and this version has not: it needs tiers, segments, consent, referrals,
#: challenges or messages. Later versions only shorten it.
LATER = (
    "on: referral, message reaction",
    "conditions: message engagement",
    "refunds: challenge progress, referral rewards",
)  # fmt: skip


class Row(NamedTuple):
    """One value of one field, and how a test's source shows that it uses it."""

    field: str
    value: str
    pattern: str
    #: Where the value stands in quotes, the test must also name this.
    beside: str = ""


def rows() -> Iterator[Row]:
    """Every value of every field."""
    for section, model in SECTIONS:
        for name, field in model.model_fields.items():
            path = ".".join(filter(None, (section, name)))
            if name not in _STRUCTURE | _WITHOUT_EFFECT:
                forms = FORMS.get(path) or FORMS.get(name)
                literal = forms is None and any(_literals(field.annotation))
                for value, pattern in forms.items() if forms else _values(name, field.annotation):
                    yield Row(path, value, pattern, name if literal else "")
    for name in HISTORY:
        measure, window = name.split(".")[1:]
        yield Row("conditions", name, rf"history\.{measure}\.{window}\b|history\.\w+\.{window}\b")


def _values(name: str, annotation: Any) -> Iterator[tuple[str, str]]:
    found = list(_literals(annotation))
    if found:
        yield from ((str(value), rf"{name}: {value}\b") for value in found)
    elif annotation is bool:
        yield "false", rf"{name}: false"
    elif annotation is int:
        yield "a number", rf"{name}: -?\d"
    else:
        yield "any", rf"\b{name}: "


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in {Union, UnionType, Annotated, tuple}:
        for part in get_args(annotation):
            yield from _literals(part)


@cache
def sources() -> Sequence[tuple[str, str]]:
    """Each test of the folders, as FILE::NAME, with its source and that of the module's constants which it names."""
    found = []
    for folder in TESTS:
        for path in sorted((ROOT / folder).glob("test_*.py")):
            text = path.read_text(encoding="utf-8")
            body = ast.parse(text).body
            constants = {
                target.id: ast.get_source_segment(text, node) or ""
                for node in body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                if isinstance(target, ast.Name)
            }
            found += [
                (f"{path.relative_to(ROOT)}::{node.name}", _source(text, node, constants))
                for node in body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            ]
    return found


def _source(text: str, node: ast.FunctionDef | ast.AsyncFunctionDef, constants: Mapping[str, str]) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    named = (constants[name] for name in constants if re.search(rf"\b{name}\b", source))
    return "\n".join([source, *named])


def used_by(row: Row) -> str:
    """The first test that uses a value, or nothing."""
    return next((name for name, source in sources() if _uses(row, source)), "")


def _uses(row: Row, source: str) -> bool:
    if re.search(row.pattern, source):
        return True
    return bool(row.beside) and row.beside in source and re.search(rf"[\"']{row.value}[\"']", source) is not None


def page() -> str:
    """The whole page."""
    lines = ["| Field | Value | Test |", "| --- | --- | --- |"]
    lines += [f"| `{row.field}` | {row.value} | {_shown(used_by(row))} |" for row in rows()]
    later = "\n".join(f"* {line}" for line in LATER)
    return f"""# What tests use of the program file

Every value that a program file may hold, with a test that uses it. The page is made from the models and the tests by
`make docs`; a value without a test fails the build.

{chr(10).join(lines)}

## Not there yet

{later}
"""


def _shown(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name}](../../{file})" if test else ""


def main() -> int:
    """Write the page; 1 when a value has no test."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(PAGE.relative_to(ROOT))
    missing = [row for row in rows() if not used_by(row)]
    for row in missing:
        print(f"no test uses {row.field}: {row.value}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
