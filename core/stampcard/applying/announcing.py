"""Messages that follow from a unit of work: written down in its own transaction, so that each is there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stampcard.domain.events import CustomEvent
from stampcard.domain.ledger import PROGRAM_ACCOUNTS, Entry
from stampcard.domain.members import Member
from stampcard.domain.perks import PerkChanged
from stampcard.domain.rewards import Redemption
from stampcard.domain.tiers import TierMoved
from stampcard.domain.value import replace
from stampcard.engine.announcing import Happening, Planned, is_told, messages_on, planned, wants
from stampcard.engine.dating import last_day_of
from stampcard.engine.describing import Past
from stampcard.engine.versions import LiveProgram
from stampcard.program.events import SEGMENT_ENTERED, SEGMENT_LEFT, SIGN_UP
from stampcard.program.occasions import (
    CONSENT_ASKED,
    MEMBERSHIP_ASKED,
    MEMBERSHIP_ENDED,
    POINTS_EARNED,
    POINTS_EXPIRED,
    POINTS_RETURNED,
    POINTS_SPENT,
    POINTS_TAKEN_BACK,
    POINTS_USABLE,
    REWARD_EXPIRED,
    REWARD_IN_REACH,
    REWARD_ISSUED,
    REWARD_USED,
)
from stampcard.program.rewards import FixedPrice
from stampcard.storage.messages import (
    Key,
    Place,
    add_messages,
    gather,
    key_of,
    known_occasions,
    load_gathering,
    place_of,
)

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: The most changes that one message lists.
MOST_ITEMS = 50
_OF_ENTRIES: Mapping[str, str] = {
    "earn": POINTS_EARNED,
    "activate": POINTS_USABLE,
    "spend": POINTS_SPENT,
    "hold": POINTS_SPENT,
    "cancel_spend": POINTS_RETURNED,
    "release": POINTS_RETURNED,
    "restore": POINTS_RETURNED,
    "claw_back": POINTS_TAKEN_BACK,
    "expire": POINTS_EXPIRED,
    "lapse": POINTS_EXPIRED,
}
_OF_REDEMPTIONS: Mapping[str, str] = {"issued": REWARD_ISSUED, "used": REWARD_USED, "expired": REWARD_EXPIRED}
_OF_TIERS: Mapping[str, str] = {"up": "tier_up", "down": "tier_down", "kept": "tier_kept", "ending": "tier_ending"}
_ENDED = frozenset({"left", "closed"})


def announce(unit: Unit) -> None:
    """Write down the messages that are on anything that happened in this unit."""
    if unit.silent or not unit.setting.programs.speaks(unit.now):
        return
    current = {live.name: live for live in unit.setting.programs.current(unit.now) if live.program.messages}
    wanted = [
        one for happening in _happenings(unit, current) for one in _planned(unit, current[happening.program], happening)
    ]
    write_down(unit, wanted)


def write_down(unit: Unit, wanted: Sequence[Planned], dropped: Mapping[Key, str] | None = None) -> list[int]:
    """Add those of these messages that are new; what is gathered goes into the message that waits. Answers their ids."""
    if not wanted:
        return []
    setting = unit.setting
    known = known_occasions(unit.connection, setting.merchant, wanted)
    told = {(program, name, occasion) for program, name, _, occasion in known}
    alone = _by_one(unit)
    fresh = {
        key_of(one): one
        for one in wanted
        if key_of(one) not in known
        and not ((one.program, one.name) in alone and (one.program, one.name, one.occasion) in told)
    }
    new = _gathered(unit, list(fresh.values()))
    return add_messages(
        unit.connection, setting.merchant, setting.sealer, setting.numbering, new, unit.now, dropped=dropped
    )


def _by_one(unit: Unit) -> set[tuple[str, str]]:
    """The messages that go by one channel alone: who got one by another, while its channels were others, has got it."""
    current = unit.setting.programs.current(unit.now)
    return {(live.name, name) for live in current for name, of in live.program.messages.items() if of.deliver != "all"}


def _planned(unit: Unit, live: LiveProgram, of: Happening) -> Iterator[Planned]:
    person = unit.members.get(of.member)
    if person is None:
        return
    past = unit.pasts.get(of.member, Past())
    for name, terms in messages_on(live, of.event):
        if not is_told(live, person, terms, unit.now):
            continue
        if of.event == CONSENT_ASKED and of.asks["channel"] not in terms.channels:
            continue
        if of.was is not None and not Decimal(str(of.asks["missing"])) <= terms.within < of.was:
            continue  # it does not come within this message's reach just now
        if wants(live, name, person, past, of.asks, unit.now, unit.setting.programs.stopped):
            yield from planned(live, name, of, unit.setting.ways, unit.now)


def _gathered(unit: Unit, fresh: Sequence[Planned]) -> list[Planned]:
    """Those that are messages of their own; the others go into one that waits, of this unit or of an earlier one."""
    setting = unit.setting
    members = {one.member for one in fresh if one.gathers}
    waiting = load_gathering(unit.connection, setting.merchant, members, setting.sealer)
    alone: list[Planned] = []
    here: dict[Place, int] = {}
    for one in fresh:
        place = place_of(one)
        if one.gathers and place in waiting:
            known = waiting[place]
            says = together(known.says, one.says)
            gather(unit.connection, setting.merchant, setting.sealer, known, says)
            waiting[place] = replace(known, says=says)
        elif one.gathers and place in here:
            at = here[place]
            alone[at] = replace(alone[at], says=together(alone[at].says, one.says))
        else:
            here[place] = len(alone)
            alone.append(one)
    return alone


def together(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What one message says of several changes: the points in all, and each of them."""
    items = [*known.get("items", [_item(known)]), _item(more)][-MOST_ITEMS:]
    points = [part["points"] for part in (known, more) if isinstance(part.get("points"), int | Decimal)]
    return {**known, **more, "items": items, **({"points": sum(points)} if points else {})}


def _item(says: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in says.items() if name != "items"}


def _happenings(unit: Unit, current: Mapping[str, LiveProgram]) -> Iterator[Happening]:
    yield from (one for one in _of_memberships(unit) if one.program in current)
    yield from (one for one in _of_points(unit) if one.program in current)
    for one in unit.touched.redemptions.values():
        if one.status in _OF_REDEMPTIONS and one.program in current:
            yield of_redemption(current[one.program], one, _OF_REDEMPTIONS[one.status])
    yield from (one for one in _of_standing(unit, current) if one.program in current)
    for member, event in unit.touched.heard:
        yield from (_of_event(live, member, event) for live in current.values())
    for member, said in unit.touched.asked:
        # Somebody who says yes again and again is asked once in ten minutes.
        at = said.at.replace(minute=said.at.minute // 10 * 10)
        key = f"{CONSENT_ASKED}:{member}:{said.name}:{at:%Y-%m-%dT%H:%M}"
        facts = {"channel": said.channel, "purpose": said.purpose}
        for name in current:
            yield Happening(member=member, program=name, event=CONSENT_ASKED, key=key, asks=facts, says=facts)
    yield from _in_reach(unit, current)


def _of_memberships(unit: Unit) -> Iterator[Happening]:
    for id_, before in unit.touched.before.items():
        now = unit.members[id_]
        for program in sorted(now.programs):
            was = before.states.get(program, "active") if program in before.programs else ""
            state = now.states.get(program, "active")
            event = _event_of(was, state)
            if event:
                # Whoever comes back later is told anew.
                again = f":{unit.now.date()}" if was in _ENDED or event != SIGN_UP else ""
                yield Happening(member=id_, program=program, event=event, key=f"{event}:{id_}:{program}{again}")


def _event_of(was: str, state: str) -> str:
    """What a membership that was in one state and is in another now means."""
    if state == was:
        return ""
    if state == "active":
        return "" if was == "frozen" else SIGN_UP
    if state == "unconfirmed":
        return MEMBERSHIP_ASKED
    return MEMBERSHIP_ENDED if state in _ENDED and was not in _ENDED else ""


def _of_points(unit: Unit) -> Iterator[Happening]:
    """Entries of one kind of a wallet are one happening."""
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for entry in unit.entries:
        event = _OF_ENTRIES.get(entry.kind) or _adjusted(entry)
        if event:
            key = (entry.member, entry.wallet, event)
            known, first = sums.get(key, (0, entry.number))
            sums[key] = (known + _amount(entry), min(first, entry.number))
    for (member, wallet, event), (amount, first) in sums.items():
        live = unit.setting.programs.of_wallet(wallet, unit.now)
        if live is None or not amount:
            continue
        scale = live.program.wallets[wallet].scale
        points = Decimal(amount).scaleb(-scale) if scale else amount
        facts = {"points": float(points), "wallet": wallet}
        yield Happening(
            member=member,
            program=live.name,
            event=event,
            key=f"{event}:{member}:{wallet}:{first}",
            asks=facts,
            says={"points": points, "wallet": wallet},
        )


def _adjusted(entry: Entry) -> str:
    """What an entry by hand comes to for its member."""
    if entry.kind != "adjust":
        return ""
    more = sum(entry.postings.get(account, 0) for account in ("pending", "active"))
    return POINTS_EARNED if more > 0 else POINTS_TAKEN_BACK


def _amount(entry: Entry) -> int:
    """How many points an entry is about."""
    outside = sum(amount for account, amount in entry.postings.items() if account in PROGRAM_ACCOUNTS)
    return abs(outside) or abs(entry.postings.get("active", 0))


def of_redemption(live: LiveProgram, one: Redemption, event: str) -> Happening:
    """A reward with what a text may say of it."""
    reward, voucher = live.program.rewards.get(one.reward), one.voucher
    ends = last_day_of(one.valid_until, live.program.zone) if one.valid_until is not None else None
    says = {
        "name": (voucher.title if voucher is not None else "")
        or (reward.name if reward is not None else "")
        or one.reward,
        "description": (reward.description if reward is not None else "") or None,
        "code": (voucher.code if voucher is not None else "") or None,
        "valid_until": ends,
    }
    return Happening(
        member=one.member,
        program=live.name,
        event=event,
        key=f"{event}:{one.id}",
        asks={"reward": one.reward},
        says={"reward": says},
    )


def _of_standing(unit: Unit, current: Mapping[str, LiveProgram]) -> Iterator[Happening]:
    """What happened to tiers, segments, perks, plans and verifications."""
    for member, moved in unit.tiers.happened:
        if moved.way in _OF_TIERS and moved.program in current:
            yield of_tier(current[moved.program], member, moved)
    for member, crossed in unit.crossings.happened:
        event = SEGMENT_ENTERED if crossed.entered else SEGMENT_LEFT
        facts: dict[str, Any] = {"segment": crossed.segment}
        yield _named(current, member, crossed.program, event, facts, crossed.occurred_at.isoformat())
    for member, happened in unit.grants.happened:
        if isinstance(happened, PerkChanged):
            event = "perk_gained" if happened.gained else "perk_lost"
            facts = {"perk": happened.perk, "why": happened.why}
            yield _named(current, member, happened.program, event, facts, happened.occurred_at.isoformat())
        elif not happened.cancelled:
            left = {"left": happened.left} if happened.left is not None else {}
            facts = {"perk": happened.perk, **left}
            yield _named(current, member, happened.program, "perk_used", facts, happened.key)
    for member, changed in unit.terms.happened:
        facts = {"plan": changed.plan, "trial": changed.trial, "why": changed.why}
        nth = changed.occurred_at.isoformat()
        yield _named(current, member, changed.program, f"plan_{changed.way}", facts, nth)
    for member, verdict in unit.verdicts.happened:
        facts = {"proof": verdict.proof}
        nth = verdict.occurred_at.isoformat()
        yield _named(current, member, verdict.program, f"proof_{verdict.way}", facts, nth)


def _named(
    current: Mapping[str, LiveProgram], member: str, program: str, event: str, facts: Mapping[str, Any], nth: str
) -> Happening:
    """Something that happened to what the first of these facts names."""
    what, name = next(iter(facts.items()))
    section = getattr(current[program].program, f"{what}s") if program in current else {}
    return Happening(
        member=member,
        program=program,
        event=event,
        key=f"{event}:{member}:{program}:{name}:{nth}",
        asks=facts,
        says={what: {"name": _title(section, name)}},
    )


def of_tier(live: LiveProgram, member: str, moved: TierMoved) -> Happening:
    """A tier with what a text may say of it."""
    event, zone = _OF_TIERS[moved.way], live.program.zone
    levels = live.program.tiers.levels if live.program.tiers is not None else {}
    until = last_day_of(moved.until, zone) if moved.until is not None else None
    says = {
        "name": _title(levels, moved.tier),
        "before": _title(levels, moved.before) or None,
        "until": until,
        "missing": moved.missing,
        "next": _title(levels, moved.next) or None,
        "next_missing": moved.next_missing,
    }
    asks = {
        "tier": moved.tier,
        "before": moved.before,
        "why": moved.why,
        "missing": float(moved.missing),
        "next": moved.next,
        "next_missing": float(moved.next_missing),
    }
    key = f"{event}:{member}:{live.name}:{moved.number}:{until or ''}"
    return Happening(member=member, program=live.name, event=event, key=key, asks=asks, says={"tier": says})


def _title(levels: Mapping[str, Any], name: str) -> str:
    return getattr(levels.get(name), "name", "") or name


def _of_event(live: LiveProgram, member: str, event: CustomEvent) -> Happening:
    return Happening(
        member=member,
        program=live.name,
        event=event.name,
        key=f"{event.name}:{member}:{event.key or event.occurred_at.isoformat()}",
        asks=event.data,
        says={"event": dict(event.data)},
    )


def _in_reach(unit: Unit, current: Mapping[str, LiveProgram]) -> Iterator[Happening]:
    """Rewards of which so few points are missing now that some message is on that."""
    for live in current.values():
        margins = [terms.within for _, terms in messages_on(live, REWARD_IN_REACH)]
        if margins:
            yield from (one for person in _changed(unit) for one in _reached(unit, live, person, max(margins)))


def _changed(unit: Unit) -> Iterable[Member]:
    return [unit.members[id_] for id_ in sorted({member for member, _ in unit.touched.wallets}) if id_ in unit.members]


def _reached(unit: Unit, live: LiveProgram, person: Member, margin: int) -> Iterator[Happening]:
    for name, reward in live.program.rewards.items():
        key = (person.id, reward.wallet)
        if not isinstance(reward.price, FixedPrice) or key not in unit.wallets or not reward.enabled:
            continue
        scale = live.program.wallets[reward.wallet].scale
        price = reward.price.points
        before = unit.loaded.get(key)
        was = Decimal(before.sums.get("active", 0) if before is not None else 0).scaleb(-scale)
        now = Decimal(unit.wallets[key].sums.get("active", 0)).scaleb(-scale)
        missing = max(price - now, Decimal(0))
        if missing <= margin and missing < price - was:
            says = {"name": reward.name or name, "description": reward.description or None}
            yield Happening(
                member=person.id,
                program=live.name,
                event=REWARD_IN_REACH,
                key=f"{REWARD_IN_REACH}:{person.id}:{live.name}:{name}:{unit.now.date()}",
                asks={"reward": name, "missing": float(missing)},
                says={"reward": says, "points": price, "missing": missing},
                was=price - was,
            )
