"""What one member has and may still get, in words and in figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.joining import PlanStanding, plan_standings
from stampcard.applying.promoting import outlooks
from stampcard.applying.redeeming import standings
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.applying.using import perk_standings
from stampcard.domain.wallets import balance_of
from stampcard.engine.entitling import PerkStanding
from stampcard.engine.rewarding import Asking, Standing
from stampcard.engine.tiering import Outlook
from stampcard.engine.versions import Programs
from stampcard.engine.wording import amount_words, day_words, holder_words, last_day, lot_words, points_words
from stampcard.storage.portraying import LimitTold, Resting, WalletTold, portray
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.members import LotView, lot_view
from stampcard_webhooks.perks import PerkView, perk_view
from stampcard_webhooks.plans import PlanView, plan_view
from stampcard_webhooks.proofs import ProofView, proof_views
from stampcard_webhooks.rewards import StandingView, standing_views
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.showing import BalanceView, balance_view, check_member, member_views
from stampcard_webhooks.tiers import TierView, amount_text, tier_view


class LivingLotView(LotView):
    """A lot of which something is left."""

    waits_for: str = Field(description="What must happen before the points can be used; empty if only time must pass.")
    words: str


class ExpiringView(BaseModel):
    """Points that expire together."""

    points: int
    expires_at: datetime
    last_day: str = Field(description="The last day on which they can be used, in the program's zone.")


class WalletExplanationView(BaseModel):
    """One wallet as of now, with its living lots in the order in which they are drawn from."""

    wallet: str
    program: str
    timezone: str
    scale: int
    balance: BalanceView
    lots: list[LivingLotView]
    expiring: list[ExpiringView]


class LimitView(BaseModel):
    """How much of a limit is used in the period of today; figures are decimal text, points are whole points."""

    program: str
    holder: str = Field(description="What is limited: `rule:…`, `group:…` or `campaign:…`.")
    limit: str
    measure: str
    in_all: bool = Field(description="Whether all members are counted together.")
    period: str = Field(description="Empty for a limit that is never over.")
    used: str
    most: str
    left: str
    resets_at: datetime | None = Field(description="When the next period begins, in which nothing is used.")
    words: str


class RestingView(BaseModel):
    """A rule that rests after it paid."""

    program: str
    rule: str
    until: datetime
    words: str


class MemberExplanationView(BaseModel):
    """Everything about one member's points."""

    member: str
    words: list[str]
    wallets: list[WalletExplanationView]
    limits: list[LimitView]
    resting: list[RestingView]
    rewards: list[StandingView] = Field(description="What can be had for points, what not and why.")
    tiers: list[TierView] = Field(description="The tier in each program, and what is missing for the next.")
    plans: list[PlanView] = Field(description="Every paid membership, and what it is made of.")
    proofs: list[ProofView] = Field(description="What the member is verified as.")
    perks: list[PerkView] = Field(description="Every perk: who has it, and why it cannot be used.")


async def explain_member(call: Call[Query, Nothing]) -> MemberExplanationView:
    """What a member has, what waits and what expires."""
    return await call.read(lambda connection: portrait_view(connection, call.setting, call.path["id"], call.now))


def portrait_view(connection: Connection, setting: Setting, member: str, now: datetime) -> MemberExplanationView:
    """A member's points, explained; raises NotFound, also for one who was erased."""
    check_member(connection, setting, member)
    known = portray(connection, setting.merchant, member, setting.programs, now)
    wallets = [_wallet(told) for told in known.wallets]
    limits = [_limit(told, setting.programs) for told in known.limits]
    resting = [_resting(told, setting.programs) for told in known.resting]
    words = [line for told in known.wallets for line in _wallet_words(told)]
    words += [one.words for one in limits] + [one.words for one in resting]
    offered = standings(Unit(connection, setting, now), member, Asking())
    words += _reward_words(offered)
    tiers = outlooks(Unit(connection, setting, now), [member]).get(member, [])
    words += [line for told in tiers for line in _tier_words(told)]
    plans = plan_standings(Unit(connection, setting, now), member)
    words += [_plan_words(one) for one in plans if one.one.active]
    proofs = proof_views(connection, setting, member, now)
    words += [f"Is verified as {one.proof!r}." for one in proofs if one.verified]
    perks = perk_standings(Unit(connection, setting, now), member)
    words += [_perk_words(one) for one in perks if one.has]
    (person,) = member_views(connection, setting, [member], now)
    words += [f"Is on hold: {person.held}. Earns and redeems nothing."] if person.held is not None else []
    return MemberExplanationView(
        member=member,
        words=words,
        wallets=wallets,
        limits=limits,
        resting=resting,
        rewards=standing_views(offered, now),
        tiers=[tier_view(told) for told in tiers],
        plans=list(map(plan_view, plans)),
        proofs=proofs,
        perks=list(map(perk_view, perks)),
    )


def _tier_words(told: Outlook) -> Iterator[str]:
    """What a member is, until when, and what is missing."""
    ladder, tier = told.ladder, told.tier
    what = {"points": "points", "balance": "points", "orders": "orders"}.get(ladder.tiers.by, ladder.tiers.by)
    end = f" up to {last_day(tier.until, ladder.zone)}" if tier.until is not None else ""
    yield f"Is {tier.name} in {ladder.program}{end}." if tier.name else f"Has no tier in {ladder.program}."
    if tier.coming and tier.coming_at is not None:
        yield f"Becomes {tier.coming} on {day_words(tier.coming_at.astimezone(ladder.zone).date())}."
    if told.to_keep:
        yield f"{amount_text(ladder, told.to_keep)} {what} are missing to keep {tier.name}."
    if told.missing:
        by = f" by {last_day(told.by, ladder.zone)}" if told.by is not None else ""
        yield f"{amount_text(ladder, told.missing)} {what} are missing for {told.next}{by}."


def _plan_words(told: PlanStanding) -> str:
    """What a member has, and up to which day it is paid."""
    one, end = told.one, ""
    if one.paid_until is not None:
        end = f", {'free' if one.trial else 'paid'} up to {last_day(one.paid_until, told.live.program.zone)}"
    return f"{'Tries' if one.trial else 'Has'} the plan {told.name!r}{end}."


def _perk_words(one: PerkStanding) -> str:
    """What a member is entitled to, until when, and what is left."""
    end = f" up to {last_day(one.one.until, one.live.program.zone)}" if one.one.until is not None else ""
    left = f", {one.left} of {one.perk.uses} left" if one.left is not None else ""
    return f"Has the perk {one.name!r}{end}{left}."


def _reward_words(offered: Sequence[Standing]) -> Iterator[str]:
    """What can be had now, and what is missing for the next in each wallet."""
    nearest: dict[str, Standing] = {}
    for one in offered:
        wallet = one.of.reward.wallet
        if not one.refusals:
            yield f"Can have {one.of.name!r} now: {one.gift}."
        elif [refusal.code for refusal in one.refusals] == ["insufficient_points"]:
            known = nearest.setdefault(wallet, one)
            nearest[wallet] = min(known, one, key=lambda other: other.missing)
    for wallet, one in nearest.items():
        missing = points_words(one.missing, one.live.program.wallets[wallet].scale)
        yield f"{missing} points of {wallet!r} are missing for {one.of.name!r}: {one.gift}."


def _wallet(told: WalletTold) -> WalletExplanationView:
    program, scale = told.live.program, told.scale
    return WalletExplanationView(
        wallet=told.wallet.name,
        program=told.live.name,
        timezone=program.timezone,
        scale=scale,
        balance=balance_view(balance_of(told.wallet.sums, scale)),
        lots=[
            LivingLotView(
                **lot_view(told.wallet.name, lot, scale).model_dump(),
                waits_for=lot.waits_for,
                words=lot_words(lot, scale, program.zone),
            )
            for lot in told.lots
        ],
        expiring=[
            ExpiringView(points=points, expires_at=at, last_day=last_day(at, program.zone))
            for at, points in told.expiring.items()
        ],
    )


def _wallet_words(told: WalletTold) -> Iterator[str]:
    name, scale, zone = told.wallet.name, told.scale, told.live.program.zone
    balance = balance_of(told.wallet.sums, scale)
    usable = "can be spent" if told.live.program.wallets[name].spendable else "count for status"
    kinds = [(balance.active, usable), (balance.pending, "wait"), (balance.negative, "are owed")]
    figures = ", ".join(f"{points_words(points, scale)} {what}" for points, what in kinds if points)
    yield f"Wallet {name!r}: {figures or 'nothing is in it'}."
    for at, points in told.expiring.items():
        yield f"{points_words(points, scale)} points of {name!r} expire on {last_day(at, zone)}."
    for lot in told.lots:
        yield f"Lot {lot.number} of {name!r}: {lot_words(lot, scale, zone)}."


def _limit(told: LimitTold, programs: Programs) -> LimitView:
    limit = told.limit

    def figure(amount: int) -> str:
        return amount_words(amount, limit.measure, told.scale)

    return LimitView(
        program=told.program,
        holder=told.holder,
        limit=str(limit),
        measure=limit.measure,
        in_all=limit.in_all,
        period=told.period,
        used=figure(told.used),
        most=figure(told.most),
        left=figure(max(0, told.most - told.used)),
        resets_at=told.resets_at,
        words=_limit_words(told, figure(told.used), _zone(programs, told.program)),
    )


def _limit_words(told: LimitTold, used: str, zone: tzinfo | None) -> str:
    parts = [f"{used} of {told.limit} used ({holder_words(told.holder)})"]
    if told.counts_member:
        parts.append("this member is among them")
    if told.resets_at is not None and zone is not None:
        parts.append(f"starts anew on {day_words(told.resets_at.astimezone(zone).date())}")
    return ", ".join(parts) + "."


def _resting(told: Resting, programs: Programs) -> RestingView:
    zone = _zone(programs, told.program)
    at = told.until.astimezone(zone) if zone else told.until
    words = f"Rule {told.rule!r} pays again from {at:%H:%M} on {day_words(at.date())}."
    return RestingView(program=told.program, rule=told.rule, until=told.until, words=words)


def _zone(programs: Programs, program: str) -> tzinfo | None:
    versions = programs.versions.get(program)
    return versions[-1].program.zone if versions else None


ROUTES = (
    Route(
        method="GET",
        path="/members/{id}/explanation",
        scope="members:read",
        summary="Explain a member's points: what waits, what expires, what limits leave",
        handler=explain_member,
        gives=MemberExplanationView,
    ),
)
