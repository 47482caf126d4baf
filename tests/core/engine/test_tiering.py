"""Which tier a member has, from what counts day by day."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.tiers import Tier, TierMoved
from stampcard.engine.gauging import Counted, Ladder, ladder_of
from stampcard.engine.tiering import assess, given_by_hand
from stampcard.program.reading import read_program

ZONE = ZoneInfo("Europe/Berlin")
JOINED = datetime(2024, 5, 20, 10, tzinfo=UTC)


def ladder(text: str, levels: str = "{silver: 100, gold: 500}") -> Ladder:
    program = read_program(
        f"program: p\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {{points: {{}}}}\n"
        f"tiers: {{by: points, levels: {levels}, {text}}}\n",
        "p",
    )
    found = ladder_of(program)
    assert found is not None
    return found


class Member:
    """A member whose points come day by day."""

    def __init__(self, text: str, levels: str = "{silver: 100, gold: 500}", since: str = "2026-01-01") -> None:
        self.ladder = ladder(text, levels)
        self.progress: dict[date, int] = {}
        self.balance = 0
        self.now = datetime.combine(date.fromisoformat(since), datetime.min.time(), ZONE)
        self.tier = Tier(program="p", name="", since=JOINED)
        self.moved: list[TierMoved] = []

    def on(self, day: str, points: int = 0, of: str | None = None) -> Member:
        """On that day at noon, points for something of that day, or of another."""
        self.now = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZONE) + timedelta(hours=12)
        counted = date.fromisoformat(of or day)
        self.progress[counted] = self.progress.get(counted, 0) + points
        moment = datetime.combine(counted, datetime.min.time(), ZONE) + timedelta(hours=12)
        self.look([moment] if points else [])
        return self

    def look(self, moments: list[datetime] | None = None) -> Member:
        counted = Counted(joined_at=JOINED, progress=self.progress, balance=self.balance)
        self.tier, moved = assess(self.ladder, self.tier, counted, self.now.astimezone(UTC), moments or [])
        self.moved += moved
        return self

    def gives(self, name: str, until: datetime | None) -> None:
        """Somebody gives a tier by hand."""
        counted = Counted(joined_at=JOINED, progress=self.progress, balance=self.balance)
        self.tier, moved = given_by_hand(self.ladder, self.tier, name, until, counted, self.now.astimezone(UTC))
        self.moved += moved

    @property
    def has(self) -> tuple[str, str]:
        """The tier, and the last day of it."""
        until = self.tier.until
        last = (until.astimezone(ZONE) - timedelta(seconds=1)).date().isoformat() if until else ""
        return self.tier.name, last

    @property
    def ways(self) -> list[str]:
        return [f"{one.way} {one.before or '-'} {one.tier or '-'} {one.why}".strip() for one in self.moved]


# Windows and how long a tier is held


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("within: calendar year", "2027-12-31"),
        ("within: calendar year, held: end of period", "2026-12-31"),
        ("within: calendar half-year", "2026-12-31"),
        ("within: calendar quarter", "2026-09-30"),
        ("within: calendar month", "2026-07-31"),
        ("within: year from 04-01", "2028-03-31"),
        ("within: membership year", "2028-05-19"),
        ("within: 12 months", "2027-06-15"),
        ("within: 30 days", "2026-07-15"),
        ("within: since change", "2027-06-15"),
        ("within: ever", ""),
        ("within: ever, held: '18 months, end of quarter'", "2027-12-31"),
        ("within: ever, held: 'on 06-30, 12-31'", "2026-06-30"),
        ("within: 90 days, held: end of year", "2026-12-31"),
        ("within: calendar year, held: for life", ""),
    ],
)
def test_a_tier_is_held_as_long_as_the_program_says(text: str, last: str) -> None:
    assert Member(text).on("2026-06-15", 100).has == ("silver", last)


@pytest.mark.parametrize(
    ("text", "day", "counts"),
    [
        ("within: calendar year", "2025-12-31", False),
        ("within: calendar year", "2026-01-01", True),
        ("within: year from 04-01", "2026-03-31", False),
        ("within: year from 04-01", "2026-04-01", True),
        ("within: membership year", "2026-05-19", False),
        ("within: membership year", "2026-05-20", True),
        ("within: 12 months", "2025-06-15", False),
        ("within: 12 months", "2025-06-16", True),
        ("within: 30 days", "2026-05-16", False),
        ("within: 30 days", "2026-05-17", True),
        ("within: ever", "2024-06-01", True),
        ("within: since change", "2024-05-21", True),
    ],
)
def test_only_what_lies_within_the_time_counts(text: str, day: str, counts: bool) -> None:
    member = Member(f"{text}, held: for life")
    member.progress[date.fromisoformat(day)] = 99
    assert member.on("2026-06-15", 1).tier.name == ("silver" if counts else "")


def test_a_day_is_the_programs_own() -> None:
    member = Member("within: calendar year")
    member.on("2026-12-31", 99)
    member.progress[date(2027, 1, 1)] = 1
    member.now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)  # next year in Berlin
    assert member.look().tier.name == ""


# Rising


def test_a_higher_tier_begins_at_once_and_may_skip_one() -> None:
    member = (
        Member("within: calendar year, upgrade: at once, downgrade: reassess")
        .on("2026-03-01", 100)
        .on("2026-04-01", 400)
    )
    assert member.has == ("gold", "2027-12-31")
    assert member.ways == ["up - silver reached", "up silver gold reached"]
    assert Member("within: calendar year").on("2026-03-01", 700).ways == ["up - gold reached"]


def test_a_higher_tier_may_begin_with_the_next_period() -> None:
    member = Member("within: calendar year, upgrade: next period, held: end of next period").on("2026-03-01", 500)
    assert (member.tier.name, member.tier.coming) == ("", "gold")
    assert member.on("2026-12-31").tier.name == ""
    assert member.on("2027-01-01").has == ("gold", "2027-12-31")
    assert member.ways == ["up - gold reached"]


def test_what_was_coming_is_called_off_by_a_refund() -> None:
    member = Member("within: calendar year, upgrade: next period").on("2026-03-01", 100)
    assert member.on("2026-03-05", -1, of="2026-03-01").tier.coming == ""
    assert member.on("2027-01-01").tier.name == ""


def test_what_everybody_has_is_no_rise() -> None:
    member = Member("within: calendar year", "{green: 0, gold: 500}")
    assert member.look().has == ("green", "")
    assert member.ways == ["joined - green reached"]


def test_an_order_of_the_old_year_that_comes_in_the_new_one_still_counts_for_the_old() -> None:
    member = Member("within: calendar year").on("2026-12-30", 99)
    assert member.on("2027-01-02", 1, of="2026-12-31").has == ("silver", "2027-12-31")


def test_what_held_only_in_the_past_changes_nothing() -> None:
    member = Member("within: calendar year, held: end of period")
    assert member.on("2027-01-02", 500, of="2026-12-31").has == ("", "")


# Keeping


def test_what_is_reached_again_in_a_new_period_prolongs_at_once() -> None:
    member = Member("within: calendar year").on("2026-03-01", 100).on("2027-02-01", 100)
    assert member.has == ("silver", "2028-12-31")
    assert member.ways[1:] == ["kept silver silver reached"]
    assert member.on("2027-03-01", 50).ways[2:] == []


def test_a_year_from_the_upgrade_is_judged_at_its_end() -> None:
    member = Member("within: since change, held: 12 months").on("2026-03-10", 100)
    assert member.on("2026-09-01", 60).on("2027-03-10", 40).has == ("silver", "2027-03-10")
    assert member.on("2027-03-11").has == ("silver", "2028-03-10")
    assert member.on("2028-03-11").has == ("", "")
    assert member.ways[1:] == ["kept silver silver reached", "down silver - ended"]


def test_a_tier_for_life_stays_although_others_end() -> None:
    levels = "{silver: 100, gold: {from: 500, held: for life}}"
    member = Member("within: calendar year", levels).on("2026-03-01", 500)
    assert member.on("2036-03-01").has == ("gold", "")


# Falling


def test_a_tier_that_ends_is_followed_by_what_was_reached() -> None:
    member = Member("within: calendar year").on("2026-03-01", 500).on("2027-05-01", 120)
    assert member.on("2028-01-01").has == ("silver", "2028-12-31")
    assert member.on("2029-01-01").has == ("", "")


def test_a_tier_may_fall_one_level_at_a_time() -> None:
    member = Member("within: calendar year, downgrade: one level").on("2026-03-01", 500)
    assert [member.on(day).tier.name for day in ("2028-12-31", "2029-01-01", "2030-01-01")] == ["silver", "", ""]


def test_a_tier_may_never_fall() -> None:
    member = Member("within: calendar year, downgrade: none").on("2026-03-01", 500)
    assert member.on("2036-01-01").has == ("gold", "")


def test_whoever_joined_on_a_leap_day_has_years_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "JOINED", datetime(2024, 2, 29, 10, tzinfo=UTC))
    member = Member("within: membership year, held: end of period").on("2026-06-15", 100)
    assert member.has == ("silver", "2027-02-27")
    assert member.on("2027-02-28", 100).has == ("silver", "2028-02-28")
    assert member.on("2028-02-29").tier.name == ""


def test_what_is_counted_otherwise_takes_no_tier_that_was_reached() -> None:
    member = Member("within: calendar year").on("2026-03-01", 500)
    program = read_program(
        "program: p\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {}}\n"
        "tiers: {by: orders, within: calendar year, levels: {silver: 5, gold: 20}}\n",
        "p",
    )
    member.ladder = ladder_of(program)  # type: ignore[assignment]
    member.progress = {date(2026, 3, 1): 1}
    assert member.on("2026-03-02", 1).has == ("gold", "2027-12-31")


def test_a_lower_tier_that_lasts_longer_is_had_again() -> None:
    member = Member("within: calendar year").on("2026-03-01", 100)
    member.gives("gold", datetime(2026, 6, 1, tzinfo=ZONE).astimezone(UTC))
    assert member.on("2026-05-31").tier.name == "gold"
    assert member.on("2026-06-01").has == ("silver", "2027-12-31")


def test_what_was_reached_again_and_is_refunded_leaves_what_was_reached_first() -> None:
    member = Member("within: calendar year").on("2025-06-01", 500)
    assert member.on("2026-02-01", 500).has == ("gold", "2027-12-31")
    assert member.on("2026-03-01", -500, of="2026-02-01").has == ("gold", "2026-12-31")
    assert member.on("2026-04-01", -500, of="2025-06-01").has == ("", "")


def test_a_tier_that_was_fallen_back_to_can_be_refunded_too() -> None:
    member = Member("within: calendar year").on("2025-06-01", 100).on("2026-02-01", 500)
    assert member.on("2026-03-01", -500, of="2026-02-01").has == ("silver", "2026-12-31")
    assert member.on("2026-04-01", -100, of="2025-06-01").has == ("", "")


def test_another_order_that_reaches_as_much_keeps_the_tier_for_good() -> None:
    member = Member("within: 30 days, held: 12 months").on("2026-01-05", 100).on("2026-01-06", 100)
    assert member.on("2026-01-07", -100, of="2026-01-05").tier.name == "silver"
    assert member.on("2026-06-01").tier.name == "silver"
    assert member.on("2026-06-02", -100, of="2026-01-06").tier.name == ""


def test_an_old_order_that_comes_late_counts_on_the_days_behind_it() -> None:
    member = Member("within: 30 days, held: 12 months").on("2026-01-10", 60)
    assert member.on("2026-02-20", 60, of="2026-01-05").has == ("silver", "2027-01-10")


def test_what_everybody_has_begins_no_new_count() -> None:
    member = Member("within: since change, held: 12 months", "{bronze: 0, silver: 100}").look()
    assert member.on("2026-01-01", 100).tier.name == "silver"


def test_a_refund_gives_back_what_had_counted_since_the_last_change() -> None:
    member = Member("within: since change").on("2026-02-01", 100).on("2026-03-01", 500)
    assert member.on("2026-03-05", -50, of="2026-03-01").tier.name == "silver"
    assert member.on("2026-03-06", 50).tier.name == "gold"


def test_rises_that_refunds_took_are_told() -> None:
    member = Member("within: calendar year").on("2026-02-01", 100).on("2026-03-01", 400)
    rises = [one.number for one in member.moved]
    member.on("2026-03-05", -400, of="2026-03-01").on("2026-03-06", -100, of="2026-02-01")
    assert [one.undone for one in member.moved[2:]] == [(rises[1],), (rises[0],)]


def test_a_notice_comes_later_if_a_refund_makes_it_needed() -> None:
    member = Member("within: calendar year, notice: 30 days").on("2026-03-01", 100).on("2027-02-01", 50)
    member.progress[date(2027, 2, 2)] = 60
    member.on("2027-02-03")
    assert member.has[1] == "2028-12-31"


def test_grace_lets_a_member_make_up_for_it() -> None:
    text = "within: calendar year, held: end of period, grace: 30 days"
    member = Member(text).on("2026-03-01", 100)
    assert member.on("2027-01-10").has == ("silver", "2027-01-30")
    assert member.on("2027-01-31").has == ("", "")
    saved = Member(text).on("2026-03-01", 100).on("2027-01-10").on("2027-01-20", 100)
    assert saved.has == ("silver", "2027-12-31")


def test_several_years_pass_one_after_the_other() -> None:
    member = Member("within: calendar year, held: end of period, downgrade: one level").on("2026-03-01", 500)
    assert member.on("2030-01-05").ways == ["up - gold reached", "down gold silver ended", "down silver - ended"]
    assert [one.occurred_at.year for one in member.moved[1:]] == [2026, 2027]  # midnight in Berlin


# Following


def test_a_tier_by_balance_follows_the_balance() -> None:
    member = Member("by: balance, wallet: points".removeprefix("by: balance, "))
    member.ladder = ladder_of(  # type: ignore[assignment]
        read_program(
            "program: p\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {}}\n"
            "tiers: {by: balance, levels: {silver: 100, gold: 500}}\n",
            "p",
        )
    )
    names = []
    for balance in (99, 100, 600, 480, 0):
        member.balance = balance
        names.append(member.look().tier.name)
    assert names == ["", "silver", "gold", "silver", ""]


def test_a_tier_while_reached_lapses_on_the_day_that_what_it_took_leaves_the_window() -> None:
    member = Member("within: 30 days, held: while reached").on("2026-06-15", 60).on("2026-06-20", 60)
    assert member.has == ("silver", "")
    assert member.tier.next_at == datetime(2026, 7, 15, tzinfo=ZONE).astimezone(UTC)
    assert member.on("2026-07-14").tier.name == "silver"
    member.now = datetime(2026, 7, 15, tzinfo=ZONE)
    assert member.look().tier.name == ""


# Refunds


def test_a_refund_takes_the_tier_that_it_made_and_gives_back_the_one_before() -> None:
    member = Member("within: calendar year").on("2025-06-01", 100).on("2026-03-01", 450).on("2026-03-02", 60)
    assert member.has == ("gold", "2027-12-31")
    assert member.on("2026-04-01", -60, of="2026-03-02").has == ("silver", "2027-12-31")
    assert member.ways[-1] == "down gold silver refund"


def test_a_refund_in_the_new_year_of_an_order_of_the_old_counts_in_the_old() -> None:
    member = Member("within: calendar year").on("2026-12-20", 100)
    assert member.on("2027-01-10", -40, of="2026-12-20").has == ("", "")


def test_after_a_refund_the_tier_of_before_is_had_only_as_long_as_it_would_have_been() -> None:
    member = Member("within: calendar year, held: end of period").on("2026-02-01", 100).on("2026-03-01", 400)
    assert member.on("2026-04-01", -400, of="2026-03-01").has == ("silver", "2026-12-31")


def test_a_higher_threshold_takes_nothing_early_and_a_lower_one_gives_at_once() -> None:
    member = Member("within: calendar year").on("2026-03-01", 100)
    member.ladder = ladder("within: calendar year", "{silver: 200, gold: 500}")
    assert member.on("2026-05-01", 10).has == ("silver", "2027-12-31")
    assert member.on("2028-01-01").has == ("", "")
    lucky = Member("within: calendar year").on("2026-03-01", 300)
    lucky.ladder = ladder("within: calendar year", "{silver: 100, gold: 250}")
    assert lucky.on("2026-05-01").has == ("gold", "2027-12-31")


def test_a_tier_that_the_program_gave_up_is_lost_at_once() -> None:
    member = Member("within: calendar year", "{silver: 100, old: 300}").on("2026-03-01", 300)
    member.ladder = ladder("within: calendar year")
    assert member.on("2026-03-02").has == ("silver", "2027-12-31")
    assert member.ways[-1] == "up old silver program"


# By hand, and notices


def test_a_tier_that_somebody_gave_is_not_taken_by_refunds_and_ends_as_it_was_given() -> None:
    member = Member("within: calendar year")
    until = datetime(2026, 9, 1, tzinfo=ZONE).astimezone(UTC)
    member.gives("gold", until)
    assert member.on("2026-06-01", 120).has == ("gold", "2026-08-31")
    assert member.on("2026-06-02", -20, of="2026-06-01").has == ("gold", "2026-08-31")
    assert member.on("2026-09-01").has == ("silver", "2027-12-31")


def test_a_tier_that_somebody_takes_leaves_what_was_had_without_it() -> None:
    member = Member("within: calendar year", since="2025-03-01").on("2025-06-01", 150)
    member.on("2026-02-01").gives("gold", None)
    member.gives("", None)
    assert member.has == ("silver", "2026-12-31")  # of last year, although nothing counts in this one
    assert member.ways == ["up - silver reached", "up silver gold hand", "down gold silver hand"]
    member.gives("", None)
    assert member.look().tier.name == ""


def test_a_tier_that_somebody_takes_and_that_counts_lower_is_not_risen_to_again() -> None:
    member = Member("within: calendar year").on("2026-02-01", 120)
    member.gives("gold", None)
    member.gives("", None)
    member.look()
    assert member.ways == ["up - silver reached", "up silver gold hand", "down gold silver hand"]


def test_a_tier_that_begins_next_period_is_not_had_early_because_another_is_taken() -> None:
    member = Member("within: calendar year, upgrade: next period", levels="{green: 0, silver: 100, gold: 500}")
    member.on("2026-02-01", 120).gives("gold", None)
    member.gives("", None)
    assert (member.look().tier.name, member.tier.coming) == ("green", "silver")


def test_tiers_by_proof_are_only_given_and_end() -> None:
    member = Member("within: calendar year")
    member.ladder = ladder_of(  # type: ignore[assignment]
        read_program(
            "program: p\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {}}\n"
            "tiers: {by: proof, held: 12 months, levels: {pro: {}}}\n",
            "p",
        )
    )
    assert member.on("2026-06-01", 10_000).tier.name == ""
    until = datetime(2026, 9, 1, tzinfo=ZONE).astimezone(UTC)
    member.gives("pro", until)
    assert member.on("2026-08-31").tier.name == "pro"
    assert member.on("2026-09-01").tier.name == ""


def test_a_notice_says_what_is_missing_and_comes_once() -> None:
    member = Member("within: calendar year, held: end of period, notice: 30 days").on("2026-03-01", 100)
    (notice,) = member.on("2026-12-02").moved[1:]
    assert (notice.way, notice.missing) == ("ending", 100)  # the new year begins with nothing
    member = Member("within: calendar year, notice: 30 days").on("2026-03-01", 100).on("2027-02-01", 30)
    assert member.tier.next_at == datetime(2027, 12, 2, tzinfo=ZONE).astimezone(UTC)
    member.on("2027-12-02").on("2027-12-05")
    (notice,) = member.moved[1:]
    assert (notice.way, notice.tier, notice.missing, notice.next, notice.next_missing) == (
        "ending",
        "silver",
        70,
        "gold",
        470,
    )


# Laws

PROGRAMS = [
    "within: calendar year",
    "within: calendar quarter, held: end of period, grace: 10 days, notice: 5 days",
    "within: calendar year, upgrade: next period, downgrade: one level",
    "within: 60 days, held: while reached",
    "within: 60 days, held: 90 days, grace: 7 days",
    "within: since change, held: 6 months",
    "within: membership year, downgrade: none",
    "within: ever, held: 'on 03-31, 09-30'",
]
STEP = st.tuples(st.integers(0, 200), st.integers(-150, 300), st.integers(0, 40))


def played(text: str, steps: list[tuple[int, int, int]], *, ticks: bool) -> Any:
    """Points that come, some for days before; with `ticks` time is also looked at in between."""
    member, day = Member(text), date(2026, 1, 1)
    for pause, points, late in steps:
        end = day + timedelta(days=pause)
        while ticks and member.tier.next_at is not None and member.tier.next_at.astimezone(ZONE).date() < end:
            member.now = member.tier.next_at
            member.look()
        day = end
        of = day - timedelta(days=late)
        member.on(day.isoformat(), max(points, -member.progress.get(of, 0)), of.isoformat())
    return member


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PROGRAMS), st.lists(STEP, max_size=12))
def test_there_is_never_a_gap_and_never_two(text: str, steps: list[tuple[int, int, int]]) -> None:
    member = played(text, steps, ticks=False)
    has = ""
    for one in member.moved:
        assert one.before == has
        if one.way != "ending":
            has = one.tier
        assert (one.way == "kept") <= (one.tier == one.before)
    assert has == member.tier.name
    times = [one.occurred_at for one in member.moved]
    assert times == sorted(times)
    assert member.tier.until is None or member.tier.until > member.now
    assert member.tier.next_at is None or member.tier.next_at > member.now


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PROGRAMS), st.lists(STEP, max_size=12))
def test_looking_again_changes_nothing(text: str, steps: list[tuple[int, int, int]]) -> None:
    member = played(text, steps, ticks=False)
    tier, count = member.tier, len(member.moved)
    member.look()
    assert (member.tier, len(member.moved)) == (tier, count)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("within: 60 days, held: while reached", [(1, 251, 0), (1, 288, 39), (196, -100, 0)]),
        (
            "within: calendar year, upgrade: next period, downgrade: one level",
            [(0, 164, 0), (83, 275, 18), (1, 100, 0), (0, -100, 0)],
        ),
        (
            "within: since change, held: 6 months",
            [(2, 100, 39), (69, 100, 0), (0, 100, 25), (1, 292, 0), (2, 100, 0), (25, 54, 12), (2, -100, 29)],
        ),
    ],
)
def test_a_second_look_finds_nothing_new_where_refunds_cross_what_is_held(
    text: str, steps: list[tuple[int, int, int]]
) -> None:
    member = played(text, steps, ticks=False)
    tier, count = member.tier, len(member.moved)
    member.look()
    assert (member.tier, len(member.moved)) == (tier, count)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PROGRAMS), st.lists(STEP, max_size=12))
def test_a_timer_that_runs_late_comes_to_the_same(text: str, steps: list[tuple[int, int, int]]) -> None:
    steps = [(pause, points, 0) for pause, points, _ in steps]
    late, punctual = played(text, steps, ticks=False), played(text, steps, ticks=True)
    assert (late.tier.name, late.tier.until) == (punctual.tier.name, punctual.tier.until)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PROGRAMS[:3]), st.integers(1, 600), st.integers(0, 90))
def test_a_refund_of_everything_leaves_what_was_before(text: str, points: int, days: int) -> None:
    member = Member(text).on("2026-02-03", points)
    later = date(2026, 2, 3) + timedelta(days=days % 50)
    member.on(later.isoformat(), -points, of="2026-02-03")
    assert (member.tier.name, member.tier.coming) == ("", "")
