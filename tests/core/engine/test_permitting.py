"""Whether a message may leave: what is over for good, what only waits, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.engine.permitting import (
    STOPPED,
    UNSUBSCRIBED,
    Bearing,
    Drop,
    Leave,
    Permission,
    Sent,
    Wait,
    next_day,
    permit,
)
from stampcard.program.messages import MessageCap, read_cap
from stampcard.program.windows import Hours, read_hours

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHT = read_hours("21:00-08:00")
BERLIN = ZoneInfo("Europe/Berlin")
YES = {"sms.marketing": "given"}


def bearing(**more: Any) -> Bearing:
    """A text for marketing that may leave."""
    of = {"channel": "sms", "purpose": "marketing", "address": "+4915112345678", "consents": YES, **more}
    return Bearing(**of)


def receipt(**more: Any) -> Bearing:
    return bearing(purpose="transactional", **{"consents": {}, **more})


def caps(*written: str) -> tuple[MessageCap, ...]:
    return tuple(map(read_cap, written))


def sent(*ago: timedelta, channel: str = "sms", purpose: str = "marketing") -> tuple[Sent, ...]:
    return tuple(Sent(at=NOW - one, channel=channel, purpose=purpose) for one in ago)


def at(text: str, zone: str = "UTC") -> datetime:
    """A moment as the clocks of a zone show it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


#: Each reason for which a message never leaves, in the order in which they are told.
REASONS: dict[str, dict[str, Any]] = {
    "erased": {"gone": "erased"},
    "too_late": {"until": NOW - timedelta(microseconds=1)},
    "no_address": {"address": ""},
    "suppressed": {"suppressed": "bounced"},
    "no_consent": {"consents": {}},
    "no_longer": {"stale": "no_longer"},
}
#: Each for which it waits.
WAITS: dict[str, dict[str, Any]] = {
    "stopped": {"stopped": True},
    "quiet_hours": {"quiet": read_hours("11:00-14:00"), "zones": (ZoneInfo("UTC"),)},
    "cap": {"caps": caps("1 per day"), "sent": sent(HOUR)},
}


def test_what_nothing_stands_against_leaves() -> None:
    assert permit(bearing(), NOW) == Leave()
    assert permit(bearing(until=NOW), NOW) == Leave()


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_alone_is_enough_to_drop_it(reason: str) -> None:
    assert permit(bearing(**REASONS[reason]), NOW) == Drop(why=reason)


def test_of_several_reasons_the_first_is_told() -> None:
    names = list(REASONS)
    for place, name in enumerate(names):
        every = {key: value for other in names[place:] for key, value in REASONS[other].items()}
        assert permit(bearing(**every), NOW) == Drop(why=name)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("waits", WAITS)
def test_what_is_over_for_good_is_dropped_however_long_it_would_wait(reason: str, waits: str) -> None:
    assert permit(bearing(**REASONS[reason], **WAITS[waits]), NOW) == Drop(why=reason)


@pytest.mark.parametrize(
    ("code", "until"), [("stopped", NOW + STOPPED), ("quiet_hours", at("2026-03-10T14:00")), ("cap", NOW + 23 * HOUR)]
)
def test_each_wait_alone_says_until_when_and_for_what(code: str, until: datetime) -> None:
    assert permit(bearing(**WAITS[code]), NOW) == Wait(until=until, why=code)


def test_of_several_waits_the_longest_counts() -> None:
    assert permit(bearing(**WAITS["stopped"], **WAITS["quiet_hours"]), NOW) == Wait(
        until=at("2026-03-10T14:00"), why="quiet_hours"
    )
    every = {key: value for of in WAITS.values() for key, value in of.items()}
    assert permit(bearing(**every), NOW) == Wait(until=NOW + 23 * HOUR, why="cap")


@pytest.mark.parametrize("code", WAITS)
def test_what_would_wait_until_it_is_too_late_is_dropped_at_once_and_says_for_what(code: str) -> None:
    waits = permit(bearing(**WAITS[code]), NOW)
    assert isinstance(waits, Wait)
    assert permit(bearing(**WAITS[code], until=waits.until), NOW) == waits
    too_early = waits.until - timedelta(microseconds=1)
    assert permit(bearing(**WAITS[code], until=too_early), NOW) == Drop(why=f"too_late:{code}")


# Consent


@pytest.mark.parametrize("state", ["pending", "refused", "withdrawn", None])
def test_offers_go_only_to_those_who_said_yes(state: Any) -> None:
    said = {"sms.marketing": state} if state else {}
    assert permit(bearing(consents=said), NOW) == Drop(why="no_consent")


def test_a_yes_to_another_channel_or_purpose_is_none_to_this() -> None:
    said = {"email.marketing": "given", "sms.transactional": "given", "sms.surveys": "given"}
    assert permit(bearing(consents=said), NOW) == Drop(why="no_consent")
    assert permit(bearing(purpose="surveys", consents=said), NOW) == Leave()


@pytest.mark.parametrize(
    ("state", "answer"),
    [(None, Leave()), ("given", Leave()), ("pending", Leave()), ("refused", Drop(why="no_consent")), ("withdrawn", Drop(why="no_consent"))],
)  # fmt: skip
def test_a_receipt_needs_no_yes_and_goes_to_nobody_who_said_no(state: Any, answer: Permission) -> None:
    assert permit(receipt(consents={"sms.transactional": state} if state else {}), NOW) == answer


def test_who_wants_no_offers_gets_receipts() -> None:
    assert permit(receipt(consents={"sms.marketing": "withdrawn"}), NOW) == Leave()


@pytest.mark.parametrize(
    ("state", "answer"), [(None, Leave()), ("pending", Leave()), ("withdrawn", Drop(why="no_consent"))]
)
def test_what_members_come_and_fetch_needs_no_yes_and_is_not_kept_for_who_said_no(
    state: Any, answer: Permission
) -> None:
    said = {"inbox.marketing": state} if state else {}
    assert permit(bearing(channel="inbox", fetched=True, consents=said), NOW) == answer


# What somebody asked for a moment ago


@pytest.mark.parametrize("state", ["refused", "withdrawn", "pending"])
def test_what_somebody_waits_for_answers_them_whatever_they_said_before(state: Any) -> None:
    assert permit(receipt(answers=True, consents={"sms.transactional": state}), NOW) == Leave()
    assert permit(bearing(answers=True, consents={"sms.marketing": state}), NOW) == Leave()


@pytest.mark.parametrize("code", ["quiet_hours", "cap"])
def test_what_somebody_waits_for_is_held_back_by_no_night_and_no_cap(code: str) -> None:
    assert permit(bearing(answers=True, **WAITS[code]), NOW) == Leave()


def test_what_somebody_waits_for_waits_where_it_is_switched_off() -> None:
    every = {key: value for of in WAITS.values() for key, value in of.items()}
    assert permit(bearing(answers=True, **every), NOW) == Wait(until=NOW + STOPPED, why="stopped")


def test_who_said_stop_is_told_once_that_it_is_done_and_a_bad_address_gets_nothing_whatever() -> None:
    assert permit(bearing(answers=True, suppressed=UNSUBSCRIBED), NOW) == Leave()
    assert permit(bearing(suppressed=UNSUBSCRIBED), NOW) == Drop(why="suppressed")
    for why in ("bounced", "complained", "address", "hand", "imported"):
        assert permit(bearing(answers=True, suppressed=why), NOW) == Drop(why="suppressed")


@pytest.mark.parametrize("reason", ["erased", "too_late", "no_address", "no_longer"])
def test_what_somebody_waits_for_is_dropped_for_every_other_reason(reason: str) -> None:
    assert permit(bearing(answers=True, **REASONS[reason]), NOW) == Drop(why=reason)


# Quiet hours


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-10T20:59", "2026-03-10T20:59"),
        ("2026-03-10T21:00", "2026-03-11T08:00"),
        ("2026-03-10T23:59", "2026-03-11T08:00"),
        ("2026-03-11T00:00", "2026-03-11T08:00"),
        ("2026-03-11T07:59", "2026-03-11T08:00"),
        ("2026-03-11T08:00", "2026-03-11T08:00"),
        ("2026-12-31T23:00", "2027-01-01T08:00"),
    ],
)
def test_a_night_goes_over_midnight_and_its_end_is_day(now: str, until: str) -> None:
    zone = "Europe/Berlin"
    assert next_day(at(now, zone), (BERLIN,), NIGHT) == at(until, zone)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        # The clock goes forward: the night is an hour shorter. It goes back: an hour longer.
        (at("2026-03-28T21:00", "Europe/Berlin"), 10),
        (at("2026-10-24T21:00", "Europe/Berlin"), 12),
        (at("2026-03-07T21:00", "America/New_York"), 10),
        (at("2026-10-31T21:00", "America/New_York"), 12),
    ],
)
def test_a_night_in_which_the_clock_changes_ends_when_the_clock_says_so(now: datetime, hours: int) -> None:
    zone = BERLIN if now.month in {3, 10} and now.day in {24, 28} else ZoneInfo("America/New_York")
    found = next_day(now, (zone,), NIGHT)
    assert found - now == hours * HOUR
    assert found.astimezone(zone).strftime("%H:%M") == "08:00"


def test_half_an_hour_counts_where_the_clock_changes_by_that() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert next_day(at("2026-04-04T21:00", lord_howe.key), (lord_howe,), NIGHT) - at(
        "2026-04-04T21:00", lord_howe.key
    ) == timedelta(hours=11, minutes=30)


def test_a_night_that_ends_in_the_hour_that_the_clock_skips_ends_behind_it() -> None:
    found = next_day(at("2026-03-29T01:00", "Europe/Berlin"), (BERLIN,), read_hours("22:00-02:30"))
    assert not read_hours("22:00-02:30").contains(found.astimezone(BERLIN).time())
    assert found <= at("2026-03-29T03:30", "Europe/Berlin")


def test_who_may_be_in_several_zones_is_asked_only_where_it_is_day_in_all_of_them() -> None:
    coasts = (ZoneInfo("America/Los_Angeles"), ZoneInfo("America/New_York"))
    # Eight in New York is five in Los Angeles.
    found = next_day(at("2026-03-10T08:00", "America/New_York"), coasts, NIGHT)
    assert found == at("2026-03-10T08:00", "America/Los_Angeles")
    # Nine in the evening in New York is six in Los Angeles.
    found = next_day(at("2026-03-10T21:00", "America/New_York"), coasts, NIGHT)
    assert found == at("2026-03-11T08:00", "America/Los_Angeles")


def test_the_three_weeks_in_which_two_continents_change_their_clocks_apart_are_counted_right() -> None:
    both = (BERLIN, ZoneInfo("America/New_York"))
    for day, hour in (("2026-03-05", 14), ("2026-03-12", 13), ("2026-04-02", 14)):
        found = next_day(at(f"{day}T09:00", "Europe/Berlin"), both, NIGHT)
        assert found == at(f"{day}T{hour}:00", "Europe/Berlin")


def test_where_it_is_always_night_in_one_of_the_zones_the_first_counts_alone() -> None:
    far = (ZoneInfo("Pacific/Auckland"), BERLIN, ZoneInfo("America/Los_Angeles"))
    short = read_hours("17:00-09:00")
    now = at("2026-07-10T18:00", "Pacific/Auckland")
    assert next_day(now, far, short) == at("2026-07-11T09:00", "Pacific/Auckland")
    day = at("2026-07-10T12:00", "Pacific/Auckland")
    assert next_day(day, far, short) == day


def test_who_is_in_no_zone_has_no_night() -> None:
    assert next_day(NOW, (), NIGHT) == NOW
    assert permit(bearing(quiet=read_hours("00:00-23:59")), NOW) == Leave()


def test_receipts_wait_for_the_day_too() -> None:
    now = at("2026-03-10T22:00", "Europe/Berlin")
    assert permit(receipt(quiet=NIGHT, zones=(BERLIN,)), now) == Wait(
        until=at("2026-03-11T08:00", "Europe/Berlin"), why="quiet_hours"
    )


ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Auckland", "Pacific/Chatham", "Africa/Casablanca", "America/Santiago", "Pacific/Kiritimati", "Pacific/Pago_Pago",
)  # fmt: skip
zones = st.lists(st.sampled_from(ZONES).map(ZoneInfo), min_size=1, max_size=4).map(tuple)
moments = st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)).map(  # noqa: DTZ001 - a zone follows
    lambda one: one.replace(tzinfo=UTC)
)
clock = st.integers(min_value=0, max_value=95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
nights = st.tuples(clock, clock).filter(lambda of: of[0] != of[1]).map(lambda of: read_hours(f"{of[0]}-{of[1]}"))


def quiet_somewhere(moment: datetime, where: Sequence[ZoneInfo], quiet: Hours) -> bool:
    return any(quiet.contains(moment.astimezone(zone).time()) for zone in where)


@given(now=moments, where=zones, quiet=nights)
def test_a_wait_for_the_day_ends_in_nobodys_night_unless_it_is_always_night_somewhere(
    now: datetime, where: tuple[ZoneInfo, ...], quiet: Hours
) -> None:
    found = next_day(now, where, quiet)
    assert found >= now
    if quiet_somewhere(found, where, quiet):
        # Then no quarter of an hour of the next seven days is day in all of them, and the first zone alone has been asked.
        assert len(where) > 1
        quarters = (now.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=15 * n) for n in range(7 * 96))
        assert all(quiet_somewhere(one, where, quiet) for one in quarters if one >= now)
        assert not quiet_somewhere(found, where[:1], quiet)


@given(now=moments, where=zones, quiet=nights)
def test_who_waits_for_the_day_waits_no_longer_than_until_it_comes(
    now: datetime, where: tuple[ZoneInfo, ...], quiet: Hours
) -> None:
    found = next_day(now, where, quiet)
    if found == now or quiet_somewhere(found, where, quiet):
        return
    # An end that the clock skips may be told up to an hour late.
    first = now.replace(minute=0, second=0, microsecond=0) + HOUR
    quarters = (first + timedelta(minutes=15 * n) for n in range(9 * 96))
    earlier = [one for one in quarters if now < one < found - HOUR and not quiet_somewhere(one, where, quiet)]
    assert earlier == []


@given(now=moments, zone=st.sampled_from(ZONES).map(ZoneInfo), quiet=nights)
def test_nobody_waits_longer_than_a_day_and_a_changed_clock_for_their_own_day(
    now: datetime, zone: ZoneInfo, quiet: Hours
) -> None:
    assert next_day(now, (zone,), quiet) - now <= DAY + 2 * HOUR


# Caps


def test_a_cap_counts_within_any_such_time_and_not_by_the_calendar() -> None:
    three = caps("3 per day")
    assert permit(bearing(caps=three, sent=sent(HOUR, 2 * HOUR)), NOW) == Leave()
    # The third leaves room again a day after it was sent, to the microsecond.
    full = bearing(caps=three, sent=sent(HOUR, 2 * HOUR, 20 * HOUR))
    assert permit(full, NOW) == Wait(until=NOW + 4 * HOUR, why="cap")
    assert permit(full, NOW + 4 * HOUR - timedelta(microseconds=1)) == Wait(until=NOW + 4 * HOUR, why="cap")
    assert permit(full, NOW + 4 * HOUR) == Leave()
    assert permit(bearing(caps=three, sent=sent(DAY, DAY, HOUR)), NOW) == Leave()


@pytest.mark.parametrize(("written", "window"), [("day", DAY), ("week", 7 * DAY), ("month", 30 * DAY)])
def test_a_day_is_24_hours_a_week_7_days_and_a_month_30(written: str, window: timedelta) -> None:
    one = bearing(caps=caps(f"1 per {written}"), sent=sent(HOUR))
    assert permit(one, NOW) == Wait(until=NOW - HOUR + window, why="cap")
    assert permit(one, NOW - HOUR + window) == Leave()


def test_where_more_was_sent_than_a_cap_allows_now_it_waits_until_enough_of_that_is_past() -> None:
    one = bearing(caps=caps("2 per day"), sent=sent(HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR))
    # The two latest of the four are left in the window then, and one of them must go.
    assert permit(one, NOW) == Wait(until=NOW - 2 * HOUR + DAY, why="cap")


def test_a_cap_by_a_channel_counts_and_holds_back_that_channel_alone() -> None:
    by = caps("1 per day by sms")
    assert permit(bearing(caps=by, sent=sent(HOUR)), NOW) == Wait(until=NOW + 23 * HOUR, why="cap")
    assert permit(bearing(caps=by, sent=sent(HOUR, channel="email")), NOW) == Leave()
    mail = bearing(channel="email", consents={"email.marketing": "given"}, caps=by, sent=sent(HOUR))
    assert permit(mail, NOW) == Leave()


def test_a_cap_for_a_purpose_counts_and_holds_back_that_purpose_alone() -> None:
    of = caps("1 per week for surveys")
    surveys = {"consents": {"sms.surveys": "given"}, "purpose": "surveys"}
    assert permit(bearing(caps=of, sent=sent(DAY, purpose="surveys"), **surveys), NOW) == Wait(
        until=NOW + 6 * DAY, why="cap"
    )
    assert permit(bearing(caps=of, sent=sent(DAY), **surveys), NOW) == Leave()
    assert permit(bearing(caps=of, sent=sent(DAY, purpose="surveys")), NOW) == Leave()


def test_a_cap_of_all_counts_every_channel_and_every_purpose_but_receipts() -> None:
    of = caps("2 per day")
    both = (*sent(HOUR, channel="email"), *sent(2 * HOUR, purpose="surveys"))
    assert permit(bearing(caps=of, sent=both), NOW) == Wait(until=NOW + 22 * HOUR, why="cap")
    assert permit(bearing(caps=of, sent=(*both[:1], *sent(HOUR, HOUR, purpose="transactional"))), NOW) == Leave()


def test_a_receipt_is_held_back_by_no_cap_but_one_for_receipts() -> None:
    many = (*sent(*[HOUR] * 9), *sent(*[HOUR] * 9, purpose="transactional"))
    assert (
        permit(receipt(caps=caps("1 per day", "1 per day by sms", "1 per day for marketing"), sent=many), NOW)
        == Leave()
    )
    assert permit(receipt(caps=caps("1 per day for transactional"), sent=many), NOW) == Wait(
        until=NOW + 23 * HOUR, why="cap"
    )


def test_of_several_caps_the_one_that_holds_back_longest_counts() -> None:
    of = caps("1 per day", "3 per week by sms", "9 per month for marketing")
    assert permit(bearing(caps=of, sent=sent(HOUR, 2 * DAY, 3 * DAY)), NOW) == Wait(until=NOW + 4 * DAY, why="cap")


written_caps = st.builds(
    lambda most, per, by, purpose: f"{most} per {per}{by}{purpose}",
    st.integers(1, 4),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(["", " by sms", " by email"]),
    st.sampled_from(["", " for marketing", " for surveys"]),
).map(read_cap)
was_sent = st.builds(
    Sent,
    at=st.integers(0, 40 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    channel=st.sampled_from(["sms", "email"]),
    purpose=st.sampled_from(["marketing", "surveys", "transactional"]),
)


@given(of=st.lists(written_caps, min_size=1, max_size=4).map(tuple), before=st.lists(was_sent, max_size=12).map(tuple))
def test_what_waits_for_caps_alone_leaves_when_they_said(of: tuple[MessageCap, ...], before: tuple[Sent, ...]) -> None:
    one = bearing(caps=of, sent=before)
    found = permit(one, NOW)
    if isinstance(found, Wait):
        assert permit(one, found.until) == Leave()
        assert permit(one, found.until - timedelta(microseconds=1)) == Wait(until=found.until, why="cap")


@given(
    of=st.lists(written_caps, min_size=1, max_size=3).map(tuple),
    gaps=st.lists(st.integers(0, 60 * 24 * 4), max_size=15),
)
def test_within_no_window_more_leave_than_a_cap_allows(of: tuple[MessageCap, ...], gaps: list[int]) -> None:
    now, left = NOW, list[Sent]()
    for gap in gaps:
        now += timedelta(minutes=gap)
        if permit(bearing(caps=of, sent=tuple(left)), now) == Leave():
            left.append(Sent(at=now, channel="sms", purpose="marketing"))
    for cap in of:
        if cap.channel in {"", "sms"} and cap.purpose in {"", "marketing"}:
            for one in left:
                assert sum(one.at <= other.at < one.at + cap.window for other in left) <= cap.most


@given(now=moments, where=zones, quiet=nights, stops=st.booleans())
def test_what_waits_for_the_day_alone_leaves_when_it_comes(
    now: datetime, where: tuple[ZoneInfo, ...], quiet: Hours, stops: bool
) -> None:
    one = bearing(quiet=quiet, zones=where, stopped=stops)
    found = permit(one, now)
    if isinstance(found, Wait) and found.why == "quiet_hours" and not quiet_somewhere(found.until, where, quiet):
        started = bearing(quiet=quiet, zones=where)
        assert permit(started, found.until) == Leave()


@given(
    where=zones, quiet=nights, of=st.lists(written_caps, max_size=3).map(tuple), before=st.lists(was_sent, max_size=9).map(tuple)
)  # fmt: skip
def test_a_message_that_nothing_else_happens_to_leaves_after_few_waits_each_later_than_the_one_before(
    where: tuple[ZoneInfo, ...], quiet: Hours, of: tuple[MessageCap, ...], before: tuple[Sent, ...]
) -> None:
    # A cap may be free again at night: then the day is waited for, and nothing else.
    one, now, codes = bearing(quiet=quiet, zones=where[:1], caps=of, sent=before), NOW, list[str]()
    while isinstance(found := permit(one, now), Wait):
        assert found.until > now
        now = found.until
        codes.append(found.why)
    assert found == Leave()
    assert codes in ([], ["cap"], ["quiet_hours"], ["cap", "quiet_hours"])
