"""Every report that there is: what stands here is what is worked out, and what the page of the reports says."""

from __future__ import annotations

from collections.abc import Mapping

from stampcard.engine.columns import Column, Identity, Kind, Report
from stampcard.engine.formulas import CENT, Formula, Money, Ratio, Sum


def _column(name: str, kind: Kind, means: str, formula: Formula | None = None) -> Column:
    return Column(name=name, kind=kind, means=means, formula=formula)


_FROM, _TO = _column("from", "day", "the first day of the period"), _column("to", "day", "its last day")
_WALLET = _column("wallet", "text", "the wallet")
_SCALE = _column("scale", "count", "decimal places of its points")
_PENDING = _column("pending", "points", "earned and not usable yet, at the end")
_ACTIVE = _column("active", "points", "usable at the end")
_HELD = _column("held", "points", "held for redemptions under way, at the end")
_DEBT = _column("debt", "points", "owed by members at the end")
_CURRENCY = _column("currency", "text", "the currency")
_BOOKED = (
    "Counts what was booked in the period, whenever it had happened: days that are over do not change any more. What time "
    "alone does (points become usable, lapse, expire) counts at the midnight at which it was due, also if it is booked later "
    "or not yet; points that an event frees become usable when it happened."
)
_PLACED = "Counts by the day on which the order was placed, or the event happened; refunds count there too, whenever they came."
_KEPT = "An order counts if it is paid and the customer kept something of it; its spend is what is left after refunds."

POINTS = Report(
    name="points",
    about="Points of each wallet: issued, taken back, redeemed, expired, and what is outstanding.",
    columns=(
        _FROM,
        _TO,
        _WALLET,
        _SCALE,
        _column("before", "points", "outstanding before the first day"),
        _column("earned", "points", "granted by rules"),
        _column("restored", "points", "granted again after they had been taken back"),
        _column("adjusted_up", "points", "added by hand"),
        _column("exchanged", "points", "given by rewards that are points"),
        _column("issued", "points", "all of these", Sum(plus=("earned", "restored", "adjusted_up", "exchanged"))),
        _column("imported", "points", "brought from another platform, less what was undone"),
        _column("adjusted_down", "points", "taken by hand"),
        _column("taken_back", "points", "taken back because an order was refunded, cancelled or changed"),
        _column("spent", "points", "spent, or paid for a reward"),
        _column("returned", "points", "of spent points, what came back"),
        _column("redeemed", "points", "spent for good", Sum(plus=("spent",), minus=("returned",))),
        _column("expired", "points", "expired, lapsed while they waited, or returned after their end"),
        _column("expired_taken", "points", "of taken_back, what had expired before"),
        _PENDING,
        _ACTIVE,
        _HELD,
        _DEBT,
        _column("outstanding", "points", "at the end", Sum(plus=("pending", "active", "held"), minus=("debt",))),
        _column(
            "redemption_rate",
            "share",
            "how much of what was issued was redeemed",
            Ratio(part="redeemed", whole="issued"),
        ),
    ),
    notes=(_BOOKED, "What could not be taken back moves no points; it stands in the report on rules as written_off."),
    identities=(
        Identity(
            of="outstanding",
            formula=Sum(
                plus=("before", "issued", "imported", "expired_taken"),
                minus=("adjusted_down", "taken_back", "redeemed", "expired"),
            ),
        ),
    ),
    splits=True,
    by_wallet=True,
)

LIABILITY = Report(
    name="liability",
    about="What outstanding points are worth in money at the end of a day.",
    columns=(
        _column("day", "day", "the last day of the period"),
        _WALLET,
        _SCALE,
        _PENDING,
        _ACTIVE,
        _HELD,
        _DEBT,
        _column("owed", "points", "what members may still use", Sum(plus=("pending", "active", "held"))),
        _column("value", "number", "what one point is worth, by the program of that day"),
        _column("liability", "money", "what it would cost", Money(points="owed", each="value")),
        _CURRENCY,
    ),
    notes=(
        _BOOKED,
        "A wallet without a `value` has neither value nor liability: nobody said what its points are worth.",
        "What some members owe does not lower what is owed to others, so the debt stands beside it.",
        "The last valid day counts in full: points that are valid to the 31st are still owed at its end, and expire on the 1st.",
    ),
    splits=True,
    by_wallet=True,
)

BREAKAGE = Report(
    name="breakage",
    about="What became of the points that were credited in a period: how much was used, how much expired.",
    columns=(
        _FROM,
        _TO,
        _WALLET,
        _SCALE,
        _column("credited", "points", "credited to lots"),
        _column("taken", "points", "of these, taken back with what had earned them"),
        _column("issued", "points", "what is left of them", Sum(plus=("credited",), minus=("taken",))),
        _column("expired", "points", "expired or lapsed until now"),
        _column("open", "points", "still there now"),
        _column(
            "used",
            "points",
            "spent, held, or taken in the place of others",
            Sum(plus=("issued",), minus=("expired", "open")),
        ),
        _column("breakage", "share", "how much of it expired", Ratio(part="expired", whole="issued")),
        _column("redemption_rate", "share", "how much of it was used", Ratio(part="used", whole="issued")),
    ),
    notes=(
        "Counts lots by the day on which what earned them happened, as they stand now.",
        "Young lots have not lived long enough: the breakage of a period is final once nothing of it is open.",
        "What paid a debt opened no lot. Points that came back after their lot had died and got a new one stay with the old.",
    ),
    splits=True,
    by_wallet=True,
)

MEMBERS = Report(
    name="members",
    about="Members: how many joined, how many bought, how many bought again.",
    columns=(
        _FROM,
        _TO,
        _column("joined", "count", "joined the program in the period"),
        _column("members", "count", "had joined by its end, also those who were erased since"),
        _column("active", "count", "members who placed an order in the period"),
        _column("active_share", "share", "how many of the members that is", Ratio(part="active", whole="members")),
        _column("repeating", "count", "of the active, those with an order before, in the period or earlier"),
        _column("repeat_rate", "share", "how many of the active that is", Ratio(part="repeating", whole="active")),
    ),
    notes=(_KEPT, "Whether somebody who is no member bought again, nobody knows: their orders name nobody."),
    splits=True,
)

ORDERS = Report(
    name="orders",
    about="Orders of members beside all others: how many, how much, and the average, by currency.",
    columns=(
        _FROM,
        _TO,
        _CURRENCY,
        _column(
            "who", "text", "`members`; `others`: orders without a customer, or of one who is no member of the program"
        ),
        _column("orders", "count", "orders placed in the period"),
        _column("spend", "money", "what customers kept of them"),
        _column("average", "money", "for each order", Ratio(part="spend", whole="orders", exact=CENT)),
        _column("repeats", "count", "orders of somebody who had placed one before; nobody can tell of others"),
        _column("repeat_share", "share", "how many of the orders that is", Ratio(part="repeats", whole="orders")),
    ),
    notes=(_KEPT, "Currencies are never added: each has rows of its own."),
    splits=True,
)

COHORTS = Report(
    name="cohorts",
    about="Members by the month in which they joined: how many bought in each month since, their spend and points.",
    columns=(
        _column("joined", "day", "the first day of the month in which they joined"),
        _column("month", "count", "months since then; 0 is the month of joining"),
        _column("members", "count", "how many joined"),
        _column("buyers", "count", "of these, those who placed an order in that month"),
        _column("share", "share", "how many that is", Ratio(part="buyers", whole="members")),
        _column("orders", "count", "their orders in that month"),
        _column("spend", "money", "what they kept of them, in the program's currency alone"),
        _CURRENCY,
        _WALLET,
        _SCALE,
        _column("points", "points", "granted by rules for that month, less what was taken back"),
    ),
    notes=(_KEPT, _PLACED, "Months are those of the calendar, from the first that the days touch to the last day."),
    by_wallet=True,
)

_EARNING = (
    _WALLET,
    _SCALE,
    _column("orders", "count", "orders that it paid points for"),
    _column("members", "count", "members whom it paid points, for orders or anything else"),
    _column("granted", "points", "points that it granted"),
    _column("taken_back", "points", "of these, what was taken back"),
    _column("points", "points", "what was left with members", Sum(plus=("granted",), minus=("taken_back",))),
    _column("written_off", "points", "of these, what should have been taken back and could not be"),
    _column("spend", "money", "of the orders, in the program's currency alone"),
    _column("value", "number", "what one point is worth, by the program of the last day"),
    _column("cost", "money", "what the points cost", Money(points="points", each="value")),
    _CURRENCY,
    _column("return", "number", "spend for each unit of cost", Ratio(part="spend", whole="cost", exact=CENT)),
)
_ATTRIBUTED = (
    "An order is attributed to every rule that paid points for it, with all of its spend: rules that paid for the same order "
    "both count it, so their orders and spend do not add up to those of the shop. Nothing says that the customer would not "
    "have bought without it: only a control group does (`stampcard campaign report`)."
)

RULES = Report(
    name="rules",
    about="What each rule paid, for which orders, at which cost.",
    columns=(
        _column("rule", "text", "the rule"),
        _column("campaign", "text", "its campaign, if it has one"),
        *_EARNING,
    ),
    notes=(_PLACED, _KEPT, _ATTRIBUTED, "Rewards that rules give are not points: they stand in the report on rewards."),
    by_wallet=True,
)

CAMPAIGNS = Report(
    name="campaigns",
    about="What the rules of each campaign paid together, for which orders, at which cost.",
    columns=(_column("campaign", "text", "the campaign, by what its rules say now"), *_EARNING),
    notes=(
        _PLACED,
        _KEPT,
        _ATTRIBUTED.replace("every rule", "every campaign with a rule", 1).replace("rules that", "campaigns that"),
        "The cost is that of points; rewards that a campaign's rules give stand in the report on rewards with their worth.",
    ),
    by_wallet=True,
)

REWARDS = Report(
    name="rewards",
    about="What became of the rewards that were taken or given: used, expired, their price and their worth.",
    columns=(
        _column("reward", "text", "the reward"),
        _column("kind", "text", "what it is"),
        _WALLET,
        _SCALE,
        *(_column(status, "count", f"{status} now") for status in ("held", "issued", "used", "released", "expired", "revoked")),
        _column(
            "redemptions", "count", "all of them",
            Sum(plus=("held", "issued", "used", "released", "expired", "revoked")),
        ),
        _column("by_rules", "count", "of these, those that rules gave"),
        _column("price", "points", "points that they cost"),
        _column("returned", "points", "of these, what went back"),
        _column("points", "points", "what they took", Sum(plus=("price",), minus=("returned",))),
        _column("worth", "money", "of those that are issued or used"),
        _column("worth_used", "money", "of those that are used"),
        _CURRENCY,
        _column("use_rate", "share", "how many were used", Ratio(part="used", whole="redemptions")),
        _column("days_to_use", "number", "from issuing to using, on average"),
    ),
    notes=("Counts redemptions that began in the days, as they stand now. What only a shop knows the worth of, counts as 0.",),
)  # fmt: skip

TIERS = Report(
    name="tiers",
    about="Members of each tier now, and who rose, fell and stayed between the days.",
    columns=(
        _column("tier", "text", "the tier"),
        _column("members", "count", "members who have it now"),
        _column("joined", "count", "members who began with it"),
        _column("risen", "count", "rose to it"),
        _column("fallen", "count", "fell to it"),
        _column("kept", "count", "kept it at its end"),
        _column("left_up", "count", "rose from it"),
        _column("left_down", "count", "fell from it"),
        _column(
            "change", "count", "how many more have it by what happened between the days",
            Sum(plus=("joined", "risen", "fallen"), minus=("left_up", "left_down")),
        ),
    ),
    notes=(
        "Counts what happened to tiers by the moment as of which it did: an end counts at its midnight.",
        "Who moves twice counts twice. Members who were erased have no tier any more; what happened to theirs still counts.",
    ),
)  # fmt: skip

MESSAGES = Report(
    name="messages",
    about="What became of messages, by message, channel and language.",
    columns=(
        _column("message", "text", "the message, by its name in the program"),
        _column("channel", "text", "the channel"),
        _column("language", "text", "the language; none of what never left"),
        _column("waiting", "count", "still to leave"),
        _column("dropped", "count", "never left: no consent, no address, too late, nothing to say any more"),
        _column("left", "count", "left, as far as anybody knows"),
        _column("unknown", "count", "whether they left cannot be told"),
        _column("delivered", "count", "arrived, where the channel tells"),
        _column("opened", "count", "were opened or read, where the channel tells"),
        _column("clicked", "count", "were clicked in, where the channel tells"),
        _column("bounced", "count", "came back"),
        _column("failed", "count", "were refused or failed"),
        _column("unsubscribed", "count", "ended messages of that purpose"),
        _column("complained", "count", "were called unwanted"),
        _column("answered", "count", "whose question was answered"),
        _column("parts", "count", "parts that the vendor charges for"),
        _column("cost", "money", "what they cost, as far as the settings say what a part does"),
        _CURRENCY,
        _column("delivery_rate", "share", "how many of those that left arrived", Ratio(part="delivered", whole="left")),
    ),
    notes=(
        "Counts messages that were written down in the days, as they stand now; test messages are not among them.",
        "A message that was opened and bounced later counts as both.",
    ),
)  # fmt: skip

ANSWERS = Report(
    name="answers",
    about="What members answered to the questions of messages, by campaign, audience and tier.",
    columns=(
        _column("message", "text", "the message that asks"),
        _column("campaign", "text", "the campaign that it belongs to"),
        _column("audience", "text", "the tiers and segments that it is for; none where it is for everybody"),
        _column("tier", "text", "the tier of those who answered, as it is now"),
        _column("choice", "text", "what they chose; none where a score or words are asked for"),
        _column("answers", "count", "how many answered so"),
        _column("scored", "count", "of these, with a score"),
        _column("score", "number", "the score on average"),
        _column("promoters", "count", "scores of 9 and 10"),
        _column("detractors", "count", "scores of 0 to 6"),
        _column("promoter_share", "share", "how many of the scores are 9 and 10", Ratio(part="promoters", whole="scored")),
    ),
    notes=("Counts by the day of the answer. Words are not in it: they stand with the messages.",),
)  # fmt: skip

REPORTS: Mapping[str, Report] = {
    report.name: report
    for report in (
        POINTS, LIABILITY, BREAKAGE, RULES, CAMPAIGNS, REWARDS, TIERS, MEMBERS, ORDERS, COHORTS, MESSAGES, ANSWERS,
    )
}  # fmt: skip
