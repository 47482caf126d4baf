"""What a CRM is to show of members: figures, attributes, consents and segments as they are now, each as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, func, select

from stampcard.applying.promoting import outlooks
from stampcard.applying.redeeming import standings_of_all
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros
from stampcard.domain.consents import Consent, current
from stampcard.domain.contacts import CONSENT, HOLD, FieldPair
from stampcard.domain.members import Member
from stampcard.domain.value import Value
from stampcard.domain.wallets import Wallet, balance_of
from stampcard.engine.counting import FINE
from stampcard.engine.rewarding import Standing
from stampcard.engine.syncing import NO, YES, plain, seen, text_of, told
from stampcard.engine.tiering import Outlook
from stampcard.engine.versions import LiveProgram
from stampcard.host.contacts import Crm
from stampcard.storage import loading
from stampcard.storage.consenting import load_consents
from stampcard.storage.reading import folded_wallets
from stampcard.storage.segmenting import load_segments
from stampcard.storage.tables import order_state, redemption

_REDEEMED = ("issued", "used", "expired")
_NEXT_REWARD = frozenset({"next_reward", "next_reward_missing"})
_TIERS = frozenset({"tier", "tier_until", "next_tier"})


class Picture(Value, frozen=True):
    """One member as a CRM is to show them.

    `texts`: our name of a field → text. `lists`: the name of a list there → whether the member belongs into it.
    `takes_part`: in the program whose figures are shown.
    """

    member: Member
    takes_part: bool
    texts: Mapping[str, str]
    lists: Mapping[str, bool]
    segments: frozenset[str] = frozenset()

    @property
    def emails(self) -> tuple[str, ...]:
        return (self.texts["email"],) if self.texts.get("email") else ()

    @property
    def phones(self) -> tuple[str, ...]:
        return (self.texts["phone"],) if self.texts.get("phone") else ()


def program_of(setting: Setting, crm: Crm, now: datetime) -> LiveProgram | None:
    """The program whose figures are shown: the one that the settings name, or else the first."""
    named = [live for live in setting.programs.current(now) if crm.settings.program in {"", live.name}]
    return named[0] if named else None


def pictures(
    connection: Connection, setting: Setting, crm: Crm, members: Collection[str], now: datetime
) -> dict[str, Picture]:
    """Member → as they are to be shown; those who were erased or merged are left out. Nothing is locked."""
    merchant, sealer = setting.merchant, setting.sealer
    found = loading.load_members(connection, merchant, members, sealer, attributes=True, lock=False)
    people = {id_: one for id_, one in found.items() if one.is_there}
    live = program_of(setting, crm, now)
    if live is None:  # whatever is shown there stays until the settings name a program that is there
        return {}
    texts = {id_: attribute_texts(one) for id_, one in people.items()}
    if any(pair.ours.startswith(CONSENT) for pair in crm.pairs):
        said = load_consents(connection, merchant, people, sealer, evidence=False)
        for id_ in people:
            texts[id_] |= consent_texts(said.get(id_, ()))
    for id_, told_ in figures(connection, setting, crm.figures, live, people, now).items():
        texts[id_] |= told_
    asks = crm.settings.lists or crm.settings.make_contacts.startswith("segment:")
    known = load_segments(connection, merchant, people) if asks else {}
    inside = {id_: frozenset(known.get(id_, {}).get(live.name, ())) for id_ in people}
    return {
        id_: Picture(
            member=one,
            takes_part=live.name in one.programs,
            texts=texts[id_],
            lists={name: segment in inside[id_] for segment, name in crm.settings.lists.items()},
            segments=inside[id_],
        )
        for id_, one in people.items()
    }


def attribute_texts(member: Member) -> dict[str, str]:
    """A member's attributes, and why they are on hold, as text."""
    texts = {name: text_of(value) for name, value in member.attributes.items()}
    return {**texts, "email": texts.get("email", "").strip().lower(), HOLD: member.held.reason if member.held else ""}


def consent_texts(history: Iterable[Consent]) -> dict[str, str]:
    """What a member said, as text; whatever waits to be confirmed says nothing yet."""
    words = {"given": YES, "refused": NO, "withdrawn": NO, "pending": ""}
    return {f"{CONSENT}{name}": words[one.state] for name, one in current(history).items()}


def theirs(pair: FieldPair, texts: Mapping[str, str]) -> str:
    """What their field is to show of these texts of ours."""
    return told(pair, texts.get(pair.ours, ""))


def ours(pair: FieldPair, texts: Mapping[str, str]) -> str:
    """What of these texts can be seen there, as it is meant here."""
    return seen(pair, texts.get(pair.ours, ""))


def figures(
    connection: Connection,
    setting: Setting,
    wanted: Collection[str],
    live: LiveProgram,
    people: Mapping[str, Member],
    now: datetime,
) -> dict[str, dict[str, str]]:
    """Member → what is known here alone, as text: at least all that is `wanted`. Of all at once but for what depends on conditions."""
    ids, merchant, zone = list(people), setting.merchant, live.program.zone
    found: dict[str, dict[str, str]] = {id_: dict(_membership(one, live, zone)) for id_, one in people.items()}
    name = next((name for name, terms in live.program.wallets.items() if terms.spendable), None)
    wallets = {one.member: one for one in folded_wallets(connection, merchant, ids, now) if one.name == name}
    scale = live.program.wallets[name].scale if name is not None else 0
    for id_ in ids:
        found[id_] |= dict(_points(wallets.get(id_), scale, zone))
    if _TIERS & {*wanted}:
        for id_, told in outlooks(Unit(connection, setting, now), ids).items():
            found[id_] |= dict(_tier(told, live, zone))
    for id_, told_ in _bought(connection, merchant, ids, live, zone):
        found[id_] |= told_
    for id_, told_ in _redeemed(connection, merchant, ids, live, zone):
        found[id_] |= told_
    if _NEXT_REWARD & {*wanted} and live.rewards:
        inside = [id_ for id_, one in people.items() if live.name in one.programs]
        for id_, offered in standings_of_all(Unit(connection, setting, now), inside, live).items():
            found[id_] |= dict(_next_reward(offered, live))
    return found


def _membership(one: Member, live: LiveProgram, zone: tzinfo) -> Iterator[tuple[str, str]]:
    yield "member_id", one.id
    yield from dict.fromkeys(("orders", "lifetime_value", "rewards", "rewards_value"), "0").items()
    yield "status", one.states.get(live.name, "active") if live.name in one.programs else ""
    joined = one.joined.get(live.name)
    yield "joined_on", _day(joined, zone)


def _points(wallet: Wallet | None, scale: int, zone: tzinfo) -> Iterator[tuple[str, str]]:
    balance = balance_of(wallet.sums if wallet is not None else {}, scale)
    yield "points", _amount(balance.active, scale)
    yield "points_pending", _amount(balance.pending, scale)
    yield "points_lifetime", _amount(balance.lifetime, scale)
    ending = [lot for lot in wallet.lots.values() if lot.remaining and lot.expires_at] if wallet is not None else []
    if ending:
        first = min(lot.expires_at for lot in ending if lot.expires_at is not None)
        yield "points_expiring", _amount(sum(lot.remaining for lot in ending if lot.expires_at == first), scale)
        # They die at midnight: the day before is the last on which they can be used.
        yield "points_expire_on", _day(first - timedelta(microseconds=1), zone)


def _tier(told: Iterable[Outlook], live: LiveProgram, zone: tzinfo) -> Iterator[tuple[str, str]]:
    for one in told:
        if one.ladder.program == live.name:
            yield "tier", one.tier.name
            yield "tier_until", _day(one.tier.until and one.tier.until - timedelta(microseconds=1), zone)
            yield "next_tier", one.next


def _bought(
    connection: Connection, merchant: str, ids: Collection[str], live: LiveProgram, zone: tzinfo
) -> Iterator[tuple[str, dict[str, str]]]:
    """Orders that count, and what was paid in the program's currency."""
    mine = case((order_state.c.currency == live.program.currency, order_state.c.spend), else_=0)
    statement = (
        select(
            order_state.c.member,
            func.count().label("orders"),
            func.sum(mine).label("spend"),
            func.max(order_state.c.occurred_at).label("last"),
        )
        .where(order_state.c.merchant == merchant, order_state.c.member.in_(sorted(ids)), order_state.c.currency != "")
        .group_by(order_state.c.member)
    )
    for row in connection.execute(statement):
        value = Decimal(int(row.spend)) / FINE
        last = _day(from_micros(row.last), zone)
        yield row.member, {"orders": str(row.orders), "lifetime_value": plain(value), "last_order_on": last}


def _redeemed(
    connection: Connection, merchant: str, ids: Collection[str], live: LiveProgram, zone: tzinfo
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rewards that were issued and not taken back."""
    statement = (
        select(
            redemption.c.member,
            func.count().label("rewards"),
            func.sum(redemption.c.worth).label("worth"),
            func.max(redemption.c.issued_at).label("last"),
        )
        .where(
            redemption.c.merchant == merchant,
            redemption.c.member.in_(sorted(ids)),
            redemption.c.program == live.name,
            redemption.c.status.in_(_REDEEMED),
            redemption.c.issued_at.is_not(None),
        )
        .group_by(redemption.c.member)
    )
    for row in connection.execute(statement):
        worth = Decimal(int(row.worth)) / FINE
        last = _day(from_micros(row.last), zone)
        yield row.member, {"rewards": str(row.rewards), "rewards_value": plain(worth), "last_reward_on": last}


def _next_reward(offered: Sequence[Standing], live: LiveProgram) -> Iterator[tuple[str, str]]:
    """The reward that the fewest points are missing for, of those that nothing else stands against."""
    lacking = [one for one in offered if [refusal.code for refusal in one.refusals] == ["insufficient_points"]]
    if lacking:
        nearest = min(lacking, key=lambda one: (one.missing, one.of.name))
        yield "next_reward", nearest.of.name
        yield "next_reward_missing", _amount(nearest.missing, live.program.wallets[nearest.of.reward.wallet].scale)


def _amount(amount: int, scale: int) -> str:
    return plain(Decimal(amount).scaleb(-scale))


def _day(at: Any, zone: tzinfo) -> str:
    return at.astimezone(zone).date().isoformat() if at is not None else ""
