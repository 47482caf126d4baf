"""Two sides that show the same field: which of them counts, and what is to be written where."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from stampcard.domain.contacts import CONSENT, FieldPair
from stampcard.domain.countries import country_code, country_name
from stampcard.domain.value import Value

#: Text → a digest of it; what people said is not kept a second time.
Digest = Callable[[str], str]
#: Stands in place of our digest where ours is to be written, whether or not it changes.
OWED = "*"
YES, NO = "true", "false"
_DIGITS = 18
_TRUTHS = {YES: True, "yes": True, "1": True, NO: False, "no": False, "0": False}


class Base(NamedTuple):
    """What both sides showed when they last agreed, as digests: ours as we write it, theirs as the vendor shows it."""

    ours: str
    theirs: str


class Verdict(Value, frozen=True):
    """What is to happen with a field: `takes` theirs, `writes` ours, or neither.

    `rule`: why, where both sides said something of their own.
    """

    takes: bool = False
    writes: bool = False
    rule: str = ""


AGREED = Verdict()
_TAKE, _WRITE = Verdict(takes=True), Verdict(writes=True)


class Shown(Value, frozen=True):
    """A field as both sides show it now, each as text, and when each last changed; ours may never have been told when."""

    ours: str
    theirs: str
    ours_at: datetime | None
    theirs_at: datetime


def judge(pair: FieldPair, shown: Shown, base: Base | None, digest: Digest) -> Verdict:
    """Compare both sides with what they last agreed on; pure."""
    if shown.ours == shown.theirs:
        return AGREED
    if base is None:
        return _first(pair, shown)
    ours_new, theirs_new = base.ours != digest(shown.ours), digest(shown.theirs) != base.theirs
    if not theirs_new and base.ours == OWED:
        return _WRITE
    if not theirs_new and (not ours_new or pair.owner == "theirs"):
        # Somebody else said so here, maybe: both sides go on with what they have until theirs says something new.
        return AGREED
    if pair.owner == "most_restrictive" and not ours_new and not shown.theirs:
        return AGREED  # a no that is taken back there says nothing of what was said here
    verdict = _counts(pair, shown, ours_new=ours_new, theirs_new=theirs_new)
    disputed = theirs_new if verdict.writes else ours_new
    return Verdict(takes=verdict.takes, writes=verdict.writes, rule=pair.owner if disputed else "")


def _first(pair: FieldPair, shown: Shown) -> Verdict:
    """When both meet for the first time, a blank is filled by the other; what is known here alone is never taken."""
    if pair.is_figure or not shown.theirs:
        return _WRITE
    if not shown.ours:
        return _TAKE
    verdict = _counts(pair, shown, ours_new=True, theirs_new=True)
    return Verdict(takes=verdict.takes, writes=verdict.writes, rule=pair.owner)


def _counts(pair: FieldPair, shown: Shown, *, ours_new: bool, theirs_new: bool) -> Verdict:
    """Whose value counts of two that differ."""
    match pair.owner:
        case "ours":
            return _WRITE
        case "theirs":
            return _TAKE
        case "most_restrictive":
            return _restricted(shown)
    if ours_new and theirs_new:
        return _WRITE if shown.ours_at is not None and shown.ours_at >= shown.theirs_at else _TAKE
    return _WRITE if ours_new else _TAKE


def _restricted(shown: Shown) -> Verdict:
    """Whoever says no counts; a side that says nothing hears what the other says."""
    if NO in {shown.ours, shown.theirs}:
        return _WRITE if shown.ours == NO else _TAKE
    return _TAKE if shown.theirs else _WRITE


Way = Literal["write", "look", ""]


def outgoing(pair: FieldPair, ours: str, base: Base | None, digest: Digest) -> Way:
    """What a change of ours asks for at a contact that is known: to be written, or that the contact is read first."""
    if base is None:
        # Whatever addresses a contact has, ours may be one of them.
        return "write" if pair.owner == "ours" and pair.ours != "email" else "look"
    if base.ours == OWED:
        return "" if digest(ours) == base.theirs else "write"
    if digest(ours) == base.ours or pair.owner == "theirs":
        return ""
    # What they may have changed, too, is not overwritten unseen; a no always may be said.
    is_free = pair.owner == "ours" or (pair.owner == "most_restrictive" and ours == NO)
    return "write" if is_free else "look"


def same_address(ours: str, theirs: Collection[str]) -> bool:
    """Whether an address of ours is one of theirs."""
    return ours.strip().casefold() in {one.strip().casefold() for one in theirs}


def text_of(value: object) -> str:
    """An attribute as text; nothing is empty."""
    if isinstance(value, bool):
        return YES if value else NO
    return plain(Decimal(str(value))) if isinstance(value, int | float) else "" if value is None else str(value)


def plain(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end: ``12.5``."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def value_of(text: str, kind: str) -> str | int | float | bool | None:
    """Text as an attribute of a kind that the program declares; raises ValueError for what is none. Empty is None."""
    if not text:
        return None
    match kind:
        case "integer":
            number = _number(text)
            if number % 1:
                raise ValueError(text)
            return int(number)
        case "number":
            return float(_number(text))
        case "boolean":
            return _truth(text)
        case "date":
            return date.fromisoformat(text[:10].replace("/", "-")).isoformat()
    return text


def _number(text: str) -> Decimal:
    """A number of a size that makes sense: one of a million digits is no attribute."""
    number = Decimal(text)
    if not number.is_finite() or number.adjusted() > _DIGITS:
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError(text)
    return _TRUTHS[text.lower()]


def reason_of(text: str) -> str:
    """Why somebody is on hold, of what the field for it says; empty where they are not."""
    return "" if _TRUTHS.get(text.strip().lower()) is False else text.strip()


def told(pair: FieldPair, ours: str) -> str:
    """What their field is to show of a text of ours."""
    if is_opt_out(pair):
        return YES if ours == NO else ""
    return country_name(ours) if pair.kind == "country" else turned(pair, ours)


def heard(pair: FieldPair, theirs: str) -> str:
    """What a text of their field means here; empty where it says nothing."""
    text = theirs.strip()
    if is_opt_out(pair):
        return NO if _TRUTHS.get(text.lower()) else ""
    if pair.kind == "country":
        return country_code(text)
    return text.lower() if pair.ours == "email" else turned(pair, text)


def seen(pair: FieldPair, ours: str) -> str:
    """What can be seen of a text of ours in their field."""
    return heard(pair, told(pair, ours))


def is_opt_out(pair: FieldPair) -> bool:
    """Whether theirs says who wants nothing, which makes nobody who did not say so want something."""
    return pair.opposite and pair.ours.startswith(CONSENT)


def turned(pair: FieldPair, text: str) -> str:
    """Text of one side as the other side means it, where both say yes or no."""
    if text.lower() not in _TRUTHS or not (pair.opposite or pair.kind == "truth"):
        return text
    return YES if _TRUTHS[text.lower()] != pair.opposite else NO
