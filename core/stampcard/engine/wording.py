"""What decisions say, in words: a sentence for each code, and how limits, windows, amounts and days are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from stampcard.domain.awards import Charge
from stampcard.domain.decisions import Alert, Reason
from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.plans import PlanChanged
from stampcard.domain.proofs import ProofChanged
from stampcard.domain.tiers import TierMoved
from stampcard.domain.wallets import Lot
from stampcard.engine.counting import FINE
from stampcard.engine.versions import LiveProgram, Offer
from stampcard.program.limits import Limit
from stampcard.program.periods import span_text
from stampcard.program.windows import During

#: What each code of a reason means. What is said of the order or program as a whole stands by itself; the others go on
#: from "Rule … does not apply: " and the like.
WORDS: Mapping[str, str] = {
    "order_unknown": "only refunds of the order are known yet",
    "no_customer": "the order names no customer",
    "refund_above_order": "the refund exceeds the order, so it does not count",
    "before_program": "it happened before the program began",
    "late": "it was first heard of longer after it happened than accept_late allows",
    "draft": "the program is a draft, so nobody takes part",
    "ended": "the program had ended when it happened",
    "not_in_audience": "the program is not open to this member yet",
    "on_hold": "the member is on hold",
    "not_enrolled": "the member did not take part in the program then",
    "membership_frozen": "the member's part in the program is frozen",
    "membership_closed": "the member has left the program",
    "not_confirmed": "the member has not confirmed yet that they want to take part",
    "not_paid": "the order is not paid",
    "currency": "the program names no rate for the order's currency",
    "stopped": "it was switched off",
    "condition": "its condition is not true",
    "condition_failed": "its condition failed",
    "not_now": "it was not open at that time",
    "not_for_this_member": "it is not for this member",
    "control_group": "the member is in the control group, whom the campaign pays nothing",
    "other_variant": "the member is in another variant of the campaign",
    "stopped_by_rule": "a rule before it lets no later one pay (stack: stop)",
    "not_the_best": "another rule pays more, and only the best of them pays (stack: best)",
    "tier_refunded": "what the tier took was refunded",
    "use_cancelled": "the use was cancelled",
    "plan_refunded": "the purchase of the plan was refunded, or belongs to somebody else now",
    "cooldown": "it had paid this member too short a time before",
    "limit": "a limit leaves less than it would pay",
    "not_theirs_any_more": "the order does not justify it any more, or belongs to somebody else now",
    "matched": "it applies",
    "program_ended": "the program has ended, so nothing can be redeemed any more",
    "other_country": "it is for members of other countries",
    "cart_needed": "it depends on the cart",
    "not_at_shop": "the member is not known at a shop that could make it real",
    "shop_cannot": "the shop cannot make it real",
    "sold_out": "there are none left",
    "base_used_up": "its percentage counted for as much as it may in this period",
    "not_for_points": "it is given by rules alone",
    "no_price": "no plugin knows the formula of its price",
    "insufficient_points": "there are not enough points for it",
    "vetoed": "a plugin does not let the member have it",
    "plugin_failed": "a plugin whose word it needs could not be asked",
    "reward_used": "its code was used on this order",
    "code_used_again": "its code was used more often than it should be",
    "code_not_valid": "its code was not valid any more",
    "code_of_another_member": "its code was given to another member",
    "code_below_minimum": "its code was taken on an order below its minimum",
    "code_after_its_end": "its code was taken after its end",
    "code_on_other_products": "its code was taken on an order of other products",
}
#: Of these the detail says it all by itself.
_SAID_BY_DETAIL = frozenset({"currency", "refund_above_order"})
#: The detail of these says nothing that the words do not.
_OF_PROGRAMS = frozenset(
    {"before_program", "late", "draft", "ended", "not_in_audience", "on_hold", "not_enrolled", "membership_frozen",
     "membership_closed"}
)  # fmt: skip
_SAID_BY_WORDS = _OF_PROGRAMS | {"matched"}
_VERBS = {"undecided": "could not be decided", "changed": "is taken back"}
_MICROSECOND = timedelta(microseconds=1)
_NOT_TRUE = "not true: "
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def alert_words(alert: Alert, live: LiveProgram | None = None) -> str:
    """An alert as a sentence; `live` knows how the program's file writes a limit."""
    match alert.kind:
        case "budget":
            holder, _, measured = alert.scope.rpartition(":")
            known = limit_of(live, alert.scope)
            limit = str(known[0]) if known else measured
            return f"{holder.replace(':', ' ', 1)} of program {alert.program!r}: {alert.share} % of {limit!r} is used."
        case "unusual_day":
            return (
                f"Program {alert.program!r} paid {alert.share} % of a usual day's points on {alert.period}: "
                "see whether its rules pay what they should."
            )
        case "silent":
            return f"Connection {alert.scope!r} has told nothing for a day: see whether its webhooks are still set up."
        case _:
            return (
                f"{alert.count} of what was to be sent to {alert.scope!r} was given up. See what and why: "
                "stampcard outbox list --status dead"
            )


def sentence(reason: Reason, live: LiveProgram | None = None) -> str:
    """A reason as a sentence; `live` is the version that gave it, for what the reason itself does not hold."""
    offer = None if live is None else live.offers.get(reason.rule)
    said = because(reason, live)
    if not reason.rule:
        return f"{said[:1].upper()}{said[1:]}."
    if reason.code in _OF_PROGRAMS or (reason.rule == reason.program and offer is None):
        return f"Program {reason.rule!r} pays nothing: {said}."
    if reason.outcome == "kept" or (offer is not None and offer.given_rewards and reason.outcome == "paid"):
        return _of_reward(reason, said)
    due = _points(reason.due, offer)
    if reason.outcome == "paid":
        return f"Rule {reason.rule!r} pays {due}" + (f" ({reason.detail})." if reason.detail else ".")
    if reason.outcome == "limited":
        return f"Rule {reason.rule!r} would pay {_points(reason.desired, offer)} and pays {due}: {said}."
    return f"Rule {reason.rule!r} {_VERBS.get(reason.outcome, 'does not apply')}: {said}."


def _of_reward(reason: Reason, said: str) -> str:
    """A reward that the order shows, or one that a rule gives."""
    if reason.outcome == "kept":
        return f"Reward {reason.rule!r}: {said}."
    return (
        f"Rule {reason.rule!r} gives the reward {reason.detail!r}."
        if reason.due
        else f"Rule {reason.rule!r} gives nothing."
    )


def because(reason: Reason, live: LiveProgram | None = None) -> str:
    """Why, without naming the rule."""
    words = WORDS.get(reason.code, reason.code)
    detail = _detail(reason, None if live is None else live.offers.get(reason.rule))
    if reason.code in _SAID_BY_WORDS or not detail:
        return words
    return detail if reason.code in _SAID_BY_DETAIL else f"{words}: {detail}"


def _detail(reason: Reason, offer: Offer | None) -> str:
    match reason.code:
        case "condition":
            return reason.detail.removeprefix(_NOT_TRUE)
        case "limit":
            holder, colon, limit = reason.detail.rpartition("; ")[2].partition(": ")
            return f"{limit} ({holder_words(holder)})" if colon else ""
        case "cooldown":
            return (
                "" if offer is None or offer.rule.cooldown is None else f"it rests for {span_text(offer.rule.cooldown)}"
            )
        case "not_now":
            return _windows(reason, offer)
    return reason.detail


def _windows(reason: Reason, offer: Offer | None) -> str:
    """When it would have been open: the campaign where the reason names one, else the rule."""
    holder = None if offer is None else (offer.campaign if reason.detail else offer.rule)
    during = None if holder is None else holder.during
    return ", ".join(filter(None, (reason.detail, f"open {window_words(during)}" if during else "")))


def window_words(during: During) -> str:
    """When something is open: "on mon, tue, 08:00-11:00"."""
    days = ", ".join(map(str, (*during.dates, *during.weekdays)))
    hours = ", ".join(map(str, during.hours))
    clock = "" if during.zone == "program" else f"by the {during.zone}'s clock"
    return ", ".join(filter(None, (f"on {days}" if days else "", hours, clock))) or "always"


def holder_words(holder: str) -> str:
    """What holds a limit, such as ``group:social``: "group 'social'"."""
    kind, _, name = holder.partition(":")
    return f"{kind} {name!r}"


def limit_of(live: LiveProgram | None, scope: str) -> tuple[Limit, int] | None:
    """The limit whose counter has that scope, with the scale of its points."""
    if live is None:
        return None
    wallets = live.program.wallets
    holders = [(offer.bounds, offer.terms.scale) for offer in live.offers.values()]
    holders += [
        (of.bounds, wallets[of.reward.wallet].scale if of.reward.wallet in wallets else 0)
        for of in live.rewards.values()
    ]
    found = ((bound.limit, scale) for bounds, scale in holders for bound in bounds if bound.scope == scope)
    return next(found, None)


def charge_words(charge: Charge, live: LiveProgram | None) -> str:
    """What an award uses of a limit: "60 of 100 points per month (rule 'review') in 2026-03"."""
    holder, _, measured = charge.scope.rpartition(":")
    known = limit_of(live, charge.scope)
    scale = known[1] if known else 0
    used = amount_words(charge.amount, measured.partition("/")[0], scale)
    said = f"of {known[0]}" if known else measured
    period = f" in {charge.period}" if charge.period else ""
    return f"{used} {said} ({holder_words(holder)}){period}"


def amount_words(amount: int, measure: str, scale: int) -> str:
    """What a counter says: points of the smallest unit, money in ten-thousandths, or times and members."""
    if measure == "money":
        return f"{(Decimal(amount) / FINE).normalize():f}"
    return points_words(amount, scale if measure == "points" else 0)


def points_words(amount: int, scale: int) -> str:
    """Points of a wallet's smallest unit, with its decimal places."""
    return f"{Decimal(amount).scaleb(-scale):f}"


def day_words(day: date) -> str:
    """A day as people write it: "31 Dec 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def last_day(until: datetime, zone: tzinfo) -> str:
    """The last day before a moment that ends a day: points that die at New Year's midnight expire on 31 Dec."""
    return day_words((until - _MICROSECOND).astimezone(zone).date())


def lot_words(lot: Lot, scale: int, zone: tzinfo) -> str:
    """What is left of a lot, what it waits for and when it expires, by the program's days."""
    points = f"{points_words(lot.remaining, scale)} points"
    if not lot.remaining:
        return _gone(lot, scale)
    if lot.waits_for:
        return (
            f"{points} wait for {lot.waits_for!r} and lapse if it does not come by {last_day(lot.available_from, zone)}"
        )
    expiry = "never expire" if lot.expires_at is None else f"expire on {last_day(lot.expires_at, zone)}"
    if lot.slides and lot.expires_at is not None:
        expiry += ", unless something gives them a later day"
    if lot.active:
        return f"{points} {expiry}"
    return f"{points} become usable on {day_words(lot.available_from.astimezone(zone).date())} and {expiry}"


def _gone(lot: Lot, scale: int) -> str:
    drawn = lot.amount - lot.expired - lot.taken
    parts = [(drawn, "spent or used up"), (lot.expired, "expired"), (lot.taken, "taken back")]
    told = ", ".join(f"{points_words(amount, scale)} {what}" for amount, what in parts if amount)
    return f"nothing is left of {points_words(lot.amount, scale)} points: {told}"


def _points(amount: int, offer: Offer | None) -> str:
    points = points_words(amount, offer.terms.scale if offer else 0)
    return f"{points} {offer.rule.wallet}" if offer else points


def change_words(happened: TierMoved | PerkChanged | PerkUsed | PlanChanged | ProofChanged) -> str:
    """What happened to something that a member has, as a sentence."""
    match happened:
        case PlanChanged():
            return plan_words(happened)
        case ProofChanged():
            return proof_words(happened)
        case TierMoved():
            return tier_words(happened)
    return perk_change_words(happened)


def tier_words(moved: TierMoved) -> str:
    """What happened to a tier, as a sentence."""
    end = f" until {moved.until:%Y-%m-%d %H:%M}Z" if moved.until is not None else ""
    match moved.way:
        case "joined":
            return f"Began as {moved.tier} in {moved.program}."
        case "up":
            return f"Rose to {moved.tier}{end} in {moved.program} ({_WHY_TIER.get(moved.why, moved.why)})."
        case "kept":
            return f"Keeps {moved.tier}{end} in {moved.program}."
        case "ending":
            return f"Was told that {moved.tier} in {moved.program} ends{end.replace(' until', ' on')}."
    fallen = f"Fell from {moved.before} to {moved.tier}{end}" if moved.tier else f"Lost {moved.before}"
    return f"{fallen} in {moved.program} ({_WHY_TIER.get(moved.why, moved.why)})."


def proof_words(changed: ProofChanged) -> str:
    """What happened to a verification, as a sentence."""
    what, until = f"{changed.proof!r} in {changed.program}", changed.until
    end = f" until {until:%Y-%m-%d %H:%M}Z" if until is not None else ""
    said = {
        "asked": f"Asked to be verified as {what}.",
        "approved": f"Is verified as {what}{end}.",
        "refused": f"Was not verified as {what}.",
        "ending": f"Was told that being verified as {what} ends{end.replace(' until', ' on')}.",
        "expired": f"Is verified as {what} no more: its time was over.",
        "revoked": f"Is verified as {what} no more: it was revoked.",
    }
    return said[changed.way]


def plan_words(changed: PlanChanged) -> str:
    """What happened to a plan, as a sentence."""
    what, until = f"the plan {changed.plan!r} of {changed.program}", changed.until
    end = f" until {until:%Y-%m-%d %H:%M}Z" if until is not None else ""
    match changed.way:
        case "started":
            return f"Began {'to try ' if changed.trial else ''}{what}{end}."
        case "renewed":
            return f"Renewed {what}{end}."
    why = {"lapsed": "it was not renewed", "refund": "it was refunded", "hand": "by hand"}
    return f"Lost {what} ({why.get(changed.why, 'the program changed')})."


def perk_change_words(happened: PerkChanged | PerkUsed) -> str:
    """What happened to a perk, as a sentence."""
    what = f"the perk {happened.perk!r} of {happened.program}"
    if isinstance(happened, PerkUsed):
        left = f"; {happened.left} left" if happened.left is not None else ""
        return f"{'Did not use after all' if happened.cancelled else 'Used'} {what} ({happened.key}{left})."
    end = f" until {happened.until:%Y-%m-%d %H:%M}Z" if happened.until is not None else ""
    why = {"hand": " (by hand)", "ended": " (its time was over)", "program": " (the program changed)"}
    return f"{'Got' if happened.gained else 'Lost'} {what}{end}{why.get(happened.why, '')}."


_WHY_TIER = {
    "reached": "it was reached",
    "ended": "its time was over",
    "refund": "what it took was refunded",
    "hand": "by hand",
    "program": "the program changed",
    "merge": "two members are one",
}
