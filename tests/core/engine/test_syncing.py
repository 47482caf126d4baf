"""Two sides that show the same field: whose value counts, and that it comes to rest whatever happens in whichever order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stampcard.domain.contacts import FieldOwner, FieldPair
from stampcard.engine.syncing import (
    AGREED,
    NO,
    OWED,
    YES,
    Base,
    Shown,
    Verdict,
    Way,
    heard,
    judge,
    outgoing,
    plain,
    reason_of,
    same_address,
    seen,
    text_of,
    told,
    turned,
    value_of,
)
from stampcard.testing.building import NOON

OWNERS: tuple[FieldOwner, ...] = ("ours", "theirs", "newest", "most_restrictive")
TAKES, WRITES = Verdict(takes=True), Verdict(writes=True)
owners = st.sampled_from(OWNERS)
#: Few, so that both sides say the same now and then; consents have three.
texts = st.sampled_from(("", "a", "b", "c"))
truths = st.sampled_from(("", YES, NO))
moments = st.integers(0, 5).map(lambda minutes: NOON + timedelta(minutes=minutes))


def digest(text: str) -> str:
    return f"d({text})"


def pair(owner: FieldOwner, ours: str = "first_name") -> FieldPair:
    ours = "consent.email.marketing" if owner == "most_restrictive" else ours
    return FieldPair(ours=ours, theirs="field", owner=owner, kind="truth" if owner == "most_restrictive" else "text")


def shown(ours: str, theirs: str, ours_at: Any = None, theirs_at: Any = NOON) -> Shown:
    return Shown(ours=ours, theirs=theirs, ours_at=ours_at, theirs_at=theirs_at)


def agreed(text: str) -> Base:
    return Base(digest(text), digest(text))


def ruled(way: Literal["takes", "writes"], rule: str) -> Verdict:
    return Verdict(takes=way == "takes", writes=way == "writes", rule=rule)


@pytest.mark.parametrize(
    ("owner", "ours", "theirs", "expected"),
    [
        ("ours", "a", "", WRITES),
        ("ours", "", "b", TAKES),
        ("ours", "a", "b", ruled("writes", "ours")),
        ("theirs", "a", "", WRITES),
        ("theirs", "", "b", TAKES),
        ("theirs", "a", "b", ruled("takes", "theirs")),
        ("newest", "a", "", WRITES),
        ("newest", "", "b", TAKES),
        ("newest", "a", "b", ruled("takes", "newest")),
        ("most_restrictive", YES, "", WRITES),
        ("most_restrictive", NO, "", WRITES),
        ("most_restrictive", "", NO, TAKES),
        ("most_restrictive", "", YES, TAKES),
        ("most_restrictive", YES, NO, ruled("takes", "most_restrictive")),
        ("most_restrictive", NO, YES, ruled("writes", "most_restrictive")),
    ],
)
def test_a_blank_is_filled_when_both_meet_first_and_else_the_owner_counts(
    owner: FieldOwner, ours: str, theirs: str, expected: Verdict
) -> None:
    assert judge(pair(owner), shown(ours, theirs), None, digest) == expected


@pytest.mark.parametrize(
    ("owner", "ours", "theirs", "base", "expected"),
    [
        ("ours", "a", "b", agreed("a"), ruled("writes", "ours")),  # theirs changed: put right
        ("ours", "b", "a", agreed("a"), WRITES),  # ours changed
        ("ours", "b", "c", agreed("a"), ruled("writes", "ours")),
        ("theirs", "a", "b", agreed("a"), TAKES),
        ("theirs", "b", "a", agreed("a"), AGREED),  # a shop said so: both go on
        ("theirs", "b", "c", agreed("a"), ruled("takes", "theirs")),
        ("theirs", "", "", agreed("a"), AGREED),
        ("newest", "a", "b", agreed("a"), TAKES),
        ("newest", "b", "a", agreed("a"), WRITES),
        ("newest", "b", "c", agreed("a"), ruled("takes", "newest")),  # nobody knows when ours changed
        ("newest", "a", "", agreed("a"), TAKES),  # emptied there
        ("most_restrictive", YES, NO, agreed(YES), TAKES),
        ("most_restrictive", NO, YES, agreed(YES), WRITES),
        ("most_restrictive", NO, YES, agreed(NO), ruled("writes", "most_restrictive")),
        ("most_restrictive", "", YES, agreed(""), TAKES),
        ("most_restrictive", NO, "", agreed(NO), AGREED),  # a no that is taken back there says nothing here
        ("most_restrictive", YES, "", agreed(NO), ruled("writes", "most_restrictive")),
        ("most_restrictive", NO, "", Base(OWED, digest(YES)), ruled("writes", "most_restrictive")),
    ],
)
def test_of_what_changed_since_both_agreed_the_owner_counts(
    owner: FieldOwner, ours: str, theirs: str, base: Base, expected: Verdict
) -> None:
    assert judge(pair(owner), shown(ours, theirs), base, digest) == expected


@pytest.mark.parametrize(("minutes", "expected"), [(-1, "takes"), (0, "writes"), (1, "writes"), (None, "takes")])
def test_of_two_edits_the_newest_counts_and_at_the_same_moment_ours(
    minutes: int | None, expected: Literal["takes", "writes"]
) -> None:
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    assert judge(pair("newest"), shown("b", "c", at), agreed("a"), digest) == ruled(expected, "newest")


def test_a_figure_is_never_taken() -> None:
    figure = pair("ours", "points")
    for ours, theirs, base in (("", "9", None), ("5", "9", None), ("5", "9", agreed("5")), ("", "9", agreed(""))):
        assert judge(figure, shown(ours, theirs), base, digest).writes
    assert judge(figure, shown("", ""), None, digest) == AGREED


@pytest.mark.parametrize(
    ("owner", "ours", "base", "expected"),
    [
        ("ours", "a", None, "write"),
        ("theirs", "a", None, "look"),
        ("newest", "a", None, "look"),
        ("most_restrictive", NO, None, "look"),
        ("ours", "a", agreed("a"), ""),
        ("ours", "b", agreed("a"), "write"),
        ("theirs", "b", agreed("a"), ""),
        ("newest", "b", agreed("a"), "look"),
        ("most_restrictive", NO, agreed(YES), "write"),
        ("most_restrictive", YES, agreed(NO), "look"),
        ("most_restrictive", "", agreed(YES), "look"),
        ("theirs", "b", Base(OWED, digest("a")), "write"),
        ("newest", "a", Base(OWED, digest("a")), ""),
    ],
)
def test_what_they_may_have_changed_too_is_read_before_it_is_written_over(
    owner: FieldOwner, ours: str, base: Base | None, expected: Way
) -> None:
    assert outgoing(pair(owner), ours, base, digest) == expected


def test_an_address_that_was_never_compared_is_looked_at_first() -> None:
    assert outgoing(pair("ours", "email"), "ann@shop.example", None, digest) == "look"
    assert same_address(" Ann@shop.example", ["ben@shop.example", "ann@SHOP.example "])
    assert not same_address("ann@shop.example", [])


@given(owners, st.one_of(texts, truths), moments, moments, st.data())
def test_both_sides_agree_when_they_say_the_same(
    owner: FieldOwner, text: str, ours_at: Any, theirs_at: Any, data: st.DataObject
) -> None:
    base = data.draw(bases(truths if owner == "most_restrictive" else texts))
    assert judge(pair(owner), shown(text, text, ours_at, theirs_at), base, digest) == AGREED


def bases(of: st.SearchStrategy[str]) -> st.SearchStrategy[Base | None]:
    """Any that may stand in a row."""
    known = of.map(digest)
    return st.none() | st.builds(Base, st.just(OWED) | known, known)


@settings(max_examples=400)
@given(owners, st.none() | moments, moments, st.data())
def test_what_was_carried_out_is_at_rest(owner: FieldOwner, ours_at: Any, theirs_at: Any, data: st.DataObject) -> None:
    of = truths if owner == "most_restrictive" else texts
    ours, theirs, base = data.draw(of), data.draw(of), data.draw(bases(of))
    one = pair(owner)
    verdict = judge(one, shown(ours, theirs, ours_at, theirs_at), base, digest)
    assert not (verdict.takes and verdict.writes)
    if verdict.takes:
        ours, base = theirs, agreed(theirs)
    elif verdict.writes:
        base = Base(OWED, digest(theirs))
        assert judge(one, shown(ours, theirs, ours_at, theirs_at), base, digest).writes, (
            "it stays owed until it is sent"
        )
        assert outgoing(one, ours, base, digest) == "write"
        theirs, base = ours, agreed(ours)
    elif ours == theirs:
        base = agreed(ours)
    assert judge(one, shown(ours, theirs, ours_at, theirs_at), base, digest) == AGREED
    assert base is not None
    assert outgoing(one, ours, base, digest) == ""


@settings(max_examples=200)
@given(truths, truths, st.none() | moments, moments, bases(truths))
def test_a_yes_never_outranks_a_no(ours: str, theirs: str, ours_at: Any, theirs_at: Any, base: Base | None) -> None:
    # Ours is owed only where theirs did not say no.
    assume(base is None or base != Base(OWED, digest(NO)))
    assume({ours, theirs} == {YES, NO})
    one = pair("most_restrictive")
    verdict = judge(one, shown(ours, theirs, ours_at, theirs_at), base, digest)
    assert not (verdict.takes and theirs == YES)
    assert not (verdict.writes and ours == YES)
    if base is None or base.ours != OWED:
        assert outgoing(one, YES, base, digest) != "write"


class TwoSides:
    """One field here and there: what is read may be late, and told again; what is sent is sent as the outbox does it."""

    def __init__(self, owner: FieldOwner, text: str) -> None:
        self.pair, self.now = pair(owner), NOON
        self.ours, self.ours_at, self.theirs, self.theirs_at = text, NOON, text, NOON
        self.base: Base | None = agreed(text)
        self.known_at = NOON
        self.reads: list[tuple[Any, str]] = []
        self.wants_read, self.writes = False, 0

    def edits_here(self, text: str) -> None:
        self.now += timedelta(seconds=1)
        self.ours, self.ours_at = text, self.now

    def edits_there(self, text: str) -> None:
        self.now += timedelta(seconds=1)
        self.theirs, self.theirs_at = text, self.now
        self.reads.append((self.theirs_at, text))

    def hears(self, read: tuple[Any, str]) -> None:
        """One read of the contact, as `hear_contact` takes it in."""
        at, theirs = read[0], heard(self.pair, read[1])
        if at < self.known_at:
            return
        self.known_at = at
        ours = seen(self.pair, self.ours)
        verdict = judge(self.pair, shown(ours, theirs, self.ours_at, at), self.base, digest)
        if self.pair.owner == "most_restrictive" and NO in {ours, theirs}:
            assert not (verdict.takes and theirs == YES)
            assert not (verdict.writes and ours == YES)
        if verdict.takes:
            self.ours, self.ours_at, self.base = theirs, at, agreed(theirs)
        elif verdict.writes:
            self.base = Base(OWED, digest(theirs))
        elif ours == theirs:
            self.base = agreed(theirs)

    def sends(self) -> bool:
        """What the outbox does when it is due; answers whether there was anything."""
        ours = seen(self.pair, self.ours)
        way = outgoing(self.pair, ours, self.base, digest)
        if way == "write":
            self.writes += 1
            if self.theirs != told(self.pair, self.ours):
                self.now += timedelta(seconds=1)
                self.theirs, self.theirs_at = told(self.pair, self.ours), self.now
                self.reads.append((self.theirs_at, self.theirs))
            self.base = agreed(ours)
        elif way == "look":
            self.hears((self.theirs_at, self.theirs))
            return outgoing(self.pair, seen(self.pair, self.ours), self.base, digest) == "write" and self.sends()
        return way == "write"


steps = st.lists(st.tuples(st.sampled_from(("here", "there", "hear", "send")), st.integers(0, 99)), max_size=25)


@pytest.mark.parametrize("owner", OWNERS)
@given(steps=steps, last=st.permutations(range(8)))
def test_whatever_both_sides_say_and_in_whichever_order_it_is_heard_they_end_equal(
    owner: FieldOwner, steps: Sequence[tuple[str, int]], last: Sequence[int]
) -> None:
    words = (YES, NO) if owner == "most_restrictive" else ("a", "b", "c", "")
    one, edits, latest_there = TwoSides(owner, words[0]), 0, words[0]
    for what, number in steps:
        match what:
            case "here" | "there" if owner != "theirs" or what == "there":
                edits += 1
                (one.edits_here if what == "here" else one.edits_there)(words[number % len(words)])
                latest_there = one.theirs if what == "there" else latest_there
            case "hear" if one.reads:
                one.hears(one.reads[number % len(one.reads)])  # late, or once more
            case "send":
                one.sends()
    # The rest is heard in any order, and the vendor tells of all that it has; then all is sent.
    rest = [one.reads[place % len(one.reads)] for place in last] if one.reads else []
    for read in (*rest, (one.theirs_at, one.theirs)):
        one.hears(read)
    for _ in range(3):
        one.sends()
        one.hears((one.theirs_at, one.theirs))
    assert not one.sends(), "nothing is left to be said"
    assert one.ours == one.theirs
    if owner == "ours":
        assert one.theirs == one.ours
    if owner == "theirs":
        assert one.ours == latest_there
    assert one.writes <= edits + 1


@given(steps)
def test_what_is_ours_is_never_changed_by_them(steps: Sequence[tuple[str, int]]) -> None:
    one, words, mine = TwoSides("ours", "a"), ("a", "b", "c"), "a"
    for what, number in steps:
        match what:
            case "here":
                mine = words[number % 3]
                one.edits_here(mine)
            case "there":
                one.edits_there(words[number % 3])
            case "hear" if one.reads:
                one.hears(one.reads[number % len(one.reads)])
            case "send":
                one.sends()
        assert one.ours == mine


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "string", ""),
        ("Ann", "string", "Ann"),
        (True, "boolean", "true"),
        (False, "boolean", "false"),
        (12, "integer", "12"),
        (12.5, "number", "12.5"),
        (100.0, "number", "100"),
        (1e16, "number", "10000000000000000"),
        ("2026-01-31", "date", "2026-01-31"),
    ],
)
def test_a_value_is_written_as_text_and_read_back(value: Any, kind: str, text: str) -> None:
    assert text_of(value) == text
    assert value_of(text, kind) == value


@given(st.integers(-(10**15), 10**15), st.floats(-1e15, 1e15, allow_nan=False), st.booleans(), st.dates())
def test_every_value_survives_being_text(number: int, measure: float, truth: bool, day: Any) -> None:
    assert value_of(text_of(number), "integer") == number
    assert value_of(text_of(measure), "number") == measure
    assert value_of(text_of(truth), "boolean") is truth
    assert value_of(text_of(day.isoformat()), "date") == day.isoformat()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3.0", "integer", 3),
        ("YES", "boolean", True),
        ("0", "boolean", False),
        ("2026-01-31T10:00:00Z", "date", "2026-01-31"),
        ("2026/01/31", "date", "2026-01-31"),
        ("3", "string", "3"),
    ],
)
def test_what_a_vendor_writes_in_its_own_way_is_read(text: str, kind: str, value: Any) -> None:
    assert value_of(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("many", "integer"),
        ("2.5", "integer"),
        ("1e400", "integer"),
        ("Infinity", "number"),
        ("NaN", "number"),
        ("-inf", "integer"),
        ("perhaps", "boolean"),
        ("31.01.2026", "date"),
    ],
)
def test_what_is_none_of_its_kind_is_said_to_be_none(text: str, kind: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        value_of(text, kind)


@given(st.sampled_from((YES, NO, "", "whenever")), st.booleans())
def test_what_is_turned_twice_is_as_it_was(text: str, opposite: bool) -> None:
    one = FieldPair(
        ours="consent.email.marketing", theirs="f", owner="most_restrictive", kind="truth", opposite=opposite
    )
    assert turned(one, turned(one, text)) == text
    assert (turned(one, text) == text) == (not opposite or text not in {YES, NO})


@pytest.mark.parametrize(("text", "expected"), [("TRUE", YES), ("Yes", YES), ("1", YES), ("no", NO), ("0", NO)])
def test_a_truth_is_understood_however_it_is_written(text: str, expected: str) -> None:
    one = pair("most_restrictive")
    assert turned(one, text) == expected
    opposite = FieldPair(ours=one.ours, theirs="f", owner=one.owner, kind="truth", opposite=True)
    assert turned(opposite, text) == (NO if expected == YES else YES)


OPT_OUT = FieldPair(ours="consent.email.marketing", theirs="f", owner="most_restrictive", kind="truth", opposite=True)


def test_an_opt_out_says_no_or_nothing() -> None:
    assert [told(OPT_OUT, text) for text in (NO, YES, "")] == [YES, "", ""]
    assert [heard(OPT_OUT, text) for text in (" TRUE ", "yes", "false", "no", "", "weekly")] == [NO, NO, "", "", "", ""]
    assert [seen(OPT_OUT, text) for text in (NO, YES, "")] == [NO, "", ""]


def test_a_country_is_a_code_here_and_a_name_there() -> None:
    country = FieldPair(ours="country", theirs="f", owner="theirs", kind="country")
    assert told(country, "DE") == "Germany"
    assert {heard(country, text) for text in ("Germany", " germany ", "DE", "de")} == {"DE"}
    assert (told(country, "Atlantis"), heard(country, "Atlantis"), told(country, "")) == ("Atlantis", "Atlantis", "")


@given(
    st.sampled_from(("", YES, NO, "Ann@Shop.example", "DE", "Germany", "yes", " b ", "12.5")),
    st.sampled_from(
        (
            OPT_OUT,
            pair("most_restrictive"),
            pair("ours", "email"),
            pair("theirs"),
            FieldPair(ours="vegan", theirs="f", owner="theirs", opposite=True),
            FieldPair(ours="country", theirs="f", owner="theirs", kind="country"),
        )
    ),
)
def test_what_can_be_seen_of_ours_there_is_heard_as_just_that(text: str, one: FieldPair) -> None:
    assert seen(one, seen(one, text)) == seen(one, text)
    assert told(one, seen(one, text)).strip().lower() == told(one, text).strip().lower()


@given(steps=steps)
def test_an_opt_out_comes_to_rest_and_is_never_written_over(steps: Sequence[tuple[str, int]]) -> None:
    one, edits = TwoSides("most_restrictive", NO), 0
    one.pair, one.theirs = OPT_OUT, YES
    for what, number in steps:
        match what:
            case "here" | "there":
                edits += 1
                words = (YES, NO) if what == "here" else (YES, "")
                (one.edits_here if what == "here" else one.edits_there)(words[number % 2])
            case "hear" if one.reads:
                one.hears(one.reads[number % len(one.reads)])
            case "send":
                one.sends()
    for _ in range(3):
        one.hears((one.theirs_at, one.theirs))
        one.sends()
    assert not one.sends(), "nothing is left to be said"
    assert not (one.ours == YES and one.theirs == YES), "who wants nothing there wants nothing here"
    assert one.writes <= edits + 1


def test_a_field_says_why_somebody_is_on_hold_or_that_they_are_not() -> None:
    assert [reason_of(text) for text in (" fraud ", "true", "false", "No", "0", "")] == [
        "fraud",
        "true",
        "",
        "",
        "",
        "",
    ]


def test_a_number_has_no_exponent_and_no_zeros_at_its_end() -> None:
    from decimal import Decimal

    assert [plain(Decimal(text)) for text in ("12.50", "1E+3", "0.000", "-0.10", "100")] == [
        "12.5", "1000", "0", "-0.1", "100",
    ]  # fmt: skip
