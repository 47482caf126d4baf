"""What is done at the counter, each act once: a sale, a reward handed out, and what takes either back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from stampcard.applying import redeeming
from stampcard.applying.addressing import email_print, known_by, phone_print
from stampcard.applying.concerning import counter_keys
from stampcard.applying.deliveries import decide_event
from stampcard.applying.locking import lock_member
from stampcard.applying.passes import ensure_number
from stampcard.applying.recognising import Shown, check_proof, claimed, recognise
from stampcard.applying.requests import create_member
from stampcard.applying.resolving import Resolved
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.addresses import normal_email, normal_phone
from stampcard.domain.commands import OWN
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.orders import OrderLine, OrderSnapshot, Refund, Stamp, standing_refunds
from stampcard.domain.tills import Act, ActKind, ActStatus, Booked
from stampcard.domain.value import Value, replace
from stampcard.engine.counting import FINE
from stampcard.engine.rewarding import Asking
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage import tills
from stampcard.storage.loading import load_members, standing_for
from stampcard.storage.redemptions import find_code, find_redemption
from stampcard.storage.tills import ActKey, Totals

#: Later than this after it happened, an act is one of a till that was without us: the goods are gone.
LATE = timedelta(minutes=5)
#: How far the clock of a till may be ahead.
AHEAD = timedelta(minutes=5)
#: The code of an act by whose name something else was told before.
EXISTS = "act_exists"
#: What can never be booked, whoever looks at it.
_NEVER = frozenset(
    {
        "no_code",
        "mistyped",
        "not_genuine",
        "too_old",
        "in_the_future",
        "no_amount",
        "amounts_differ",
        "no_reward",
        "no_act",
        "wrong_kind",
        "erased",
    }
)


class _Known(Value, frozen=True):
    """Stands for the row of an identity."""

    member: str


class _Done(Value, frozen=True):
    """What an act came to; `given`: points of the first wallet that count as given by the shift, which is that of the act `of`
    where something is taken back.
    """

    shown: Shown
    points: Mapping[str, int] = {}
    worth: int = 0
    redemption: str = ""
    given: int = 0
    of: Act | None = None


def order_of(act: Act) -> str:
    """What the order of a sale is called."""
    return f"{act.till}/{act.id}"


def terms_of(unit: Unit) -> LiveProgram:
    """The program whose terms the counter goes by: the first that is valid; raises RequestRefused without one."""
    live = next(iter(unit.setting.programs.current(unit.now)), None)
    if live is None:
        raise RequestRefused("no_program", "no program is valid now")
    return live


def known_of(unit: Unit, act: Act) -> tuple[str, OrderSeen | None] | None:
    """Whose act it is and, of a sale, the order that it is; None where nobody is known by the card."""
    member = _standing_now(unit, _holder(unit, act))
    if not member or act.kind != "earn":
        return (member, None) if member else None
    snapshot = snapshot_of(act, member, terms_of(unit).program.currency, "")
    return member, OrderSeen(reference=order_of(act), snapshot=snapshot)


def _told_before(unit: Unit, act: Act) -> Booked | None:
    """What became of an act that was told before; None where it is told now, and nobody else can book it.

    Raises Conflict where something else was told by its name.
    """
    merchant, sealer, key = unit.setting.merchant, unit.setting.sealer, ActKey(act.till, act.id)
    if tills.reserve(unit.connection, merchant, sealer, act, unit.now):
        return None
    known = tills.hash_of(unit.connection, merchant, key)
    if known and known != tills.digest_of(sealer, act):
        raise Conflict(EXISTS, f"{act.till} told something else by the name {act.id!r} before")
    return tills.find_act(unit.connection, merchant, sealer, key)


def book(unit: Unit, act: Act, facts: Facts = NO_FACTS) -> Booked:
    """Carry an act out, once; raises RequestRefused, having changed nothing, for one that cannot be."""
    return _told_before(unit, act) or _keep(unit, _book(unit, act, facts))


def book_held(unit: Unit, held: Booked, facts: Facts = NO_FACTS, note: str = "") -> Booked:
    """Carry out an act that was held; raises RequestRefused where that cannot be yet, Conflict where it is held no more.

    `note`: what the person said who accepts it: they vouch for the card and the time, and a shift has no limits for them.
    """
    known = _still_held(unit, held)
    booked = _book(unit, known.act, facts, late=True, reviewed=bool(note))
    if known.member and booked.member != _standing_now(unit, known.member):
        raise Conflict("other_member", "the card or number was somebody else's when it happened")
    return _keep(unit, replace(booked, note=note))


def hold_on(unit: Unit, held: Booked, error: RequestRefused) -> Booked:
    """Write down why an act that is held cannot be booked by now, or ever, and whose it is.

    Raises Conflict where it is held no more.
    """
    known = _still_held(unit, held)
    if known.act != held.act:  # whoever it was is erased: nothing is said of them anew
        return known
    member = known.member or _standing_now(unit, _holder(unit, known.act))
    status: ActStatus = "refused" if error.code in _NEVER else "held"
    return _keep(unit, replace(known, status=status, member=member, code=error.code, detail=str(error)))


def dismiss(unit: Unit, held: Booked, note: str) -> Booked:
    """Let an act that was held never be booked; raises Conflict where it is held no more."""
    known = _still_held(unit, held)
    return _keep(unit, replace(known, status="dismissed", note=note))


def _still_held(unit: Unit, held: Booked) -> Booked:
    key = ActKey(held.act.till, held.act.id)
    member = _standing_now(unit, held.member or _holder(unit, held.act))
    if member:  # locked before what was done for them, as an erasure does
        unit.lock([member], attributes=False)
    known = tills.find_act(unit.connection, unit.setting.merchant, unit.setting.sealer, key, lock=True)
    if known is None:
        raise NotFound("act", f"{key.till}/{key.id}")
    if known.status != "held":
        raise Conflict(f"already_{known.status}", f"the act is {known.status} already")
    return known


def put_down(unit: Unit, act: Act, error: RequestRefused) -> Booked:
    """Write that an act was refused, or, where it has happened already, that a person has to look at it."""
    known = _told_before(unit, act)
    if known is not None:
        return known
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    late = unit.now - act.at > LATE and error.code not in _NEVER
    early = act.kind in {"undo", "return"} and error.code == "not_found"  # what it is about may not have been told yet
    told = _holder(unit, act)
    people = load_members(unit.connection, merchant, [told] if told else [], sealer, attributes=False, lock=True)
    was_erased = told in people and people[told].erased_at is not None
    act = tills.bare(act) if was_erased else _needed(act, error)
    member = _standing_now(unit, told)
    booked = _keep(
        unit,
        Booked(
            act=act, status="held" if late or early else "refused", received_at=unit.now, member=member, code=error.code,
            detail=str(error),
        ),
    )  # fmt: skip
    asked = _address_print(unit.setting, act) if not member else ""
    if asked:
        tills.note_asked(unit.connection, merchant, ActKey(act.till, act.id), asked)
    return booked


def _needed(act: Act, error: RequestRefused) -> Act:
    """What of an act is needed to decide it later: of people no more than what finds it when they are erased."""
    if act.kind in {"undo", "return"}:
        return replace(tills.bare(act), amount=act.amount)
    if act.kind != "enrol":
        return replace(act, phone="", email="", first_name="", last_name="", language="")
    if error.code == "several_members" and act.phone:
        return replace(act, card="", email="", first_name="", last_name="")
    return replace(act, card="")


def _address_print(setting: Setting, act: Act) -> str:
    """What somebody is found by of whom an act tells by an address; empty where it tells of nobody so."""
    phone = normal_phone(act.card) or normal_phone(act.phone)
    if phone is not None:
        return phone_print(setting.sealer, phone)
    return email_print(setting.sealer, act.email) if act.email else ""


def _holder(unit: Unit, act: Act) -> str:
    """Whose act it was, as far as that can be told; a code of its moment is not used up by being asked about."""
    try:
        if act.member or act.card:
            return act.member or claimed(unit.connection, unit.setting, act.card).member
    except RequestRefused:
        return ""
    if act.kind != "enrol":
        return ""
    known = known_by(unit.connection, unit.setting, normal_phone(act.phone) or "", act.email, unit.now)
    return next(iter(known)) if len(known) == 1 else ""


def asked_by(setting: Setting, act: Act) -> str:
    """What somebody is found by whom an act makes known; empty where it makes nobody known."""
    return _address_print(setting, act) if act.kind == "enrol" else ""


def _standing_now(unit: Unit, member: str) -> str:
    """A member, or whoever they were merged into; empty for nobody."""
    return standing_for(unit.connection, unit.setting.merchant, [member]).get(member, "") if member else ""


def _keep(unit: Unit, booked: Booked) -> Booked:
    tills.save_booked(unit.connection, unit.setting.merchant, unit.setting.sealer, booked)
    return booked


def _book(unit: Unit, act: Act, facts: Facts, *, late: bool = False, reviewed: bool = False) -> Booked:
    live = terms_of(unit)
    if act.at - unit.now > AHEAD:
        raise RequestRefused("in_the_future", f"{act.at:%Y-%m-%d %H:%M}Z has not come yet: set the clock of the till")
    longest = max(live.program.counter.offline or timedelta(0), LATE)
    if not late and unit.now - act.at > longest:
        said = f"more than {_words(longest)} (counter, offline)"
        raise RequestRefused("too_old", f"{act.at:%Y-%m-%d %H:%M}Z is too long ago to be told now: {said}")
    done = _CARRIED_OUT[act.kind](unit, act, facts, reviewed)
    _count(unit, live, act, done, limited=not reviewed)
    return Booked(
        act=act, status="done", received_at=unit.now, member=done.shown.member, known=done.shown.known,
        points=dict(done.points), worth=done.worth, redemption=done.redemption,
    )  # fmt: skip


def _count(unit: Unit, live: LiveProgram, act: Act, done: _Done, *, limited: bool) -> None:
    """Count what the act gives in its shift; raises RequestRefused where that is more than a shift may give."""
    terms, scale = live.program.counter, next(iter(live.program.wallets.values())).scale
    shift = shift_of(live, done.of or act)
    typed = act.kind in {"earn", "redeem"} and done.shown.known == "any"
    more = Totals(points=done.given, worth=done.worth, typed=int(typed))
    total = tills.add_to_shift(
        unit.connection, unit.setting.merchant, act.till, shift, more, unit.now, live.program.zone
    )
    bounds = (
        ("points", more.points, total.points, None if terms.points is None else terms.points * 10**scale),
        ("value", more.worth, total.worth, None if terms.value is None else int(terms.value * FINE)),
        ("typed", more.typed, total.typed, terms.typed),
    )
    for name, added, all_, most in bounds:
        if limited and most is not None and added > 0 and all_ > most:
            said = getattr(terms, name)
            raise RequestRefused("shift_limit", f"this is more than one shift may give (counter, {name}: {said})")


def shift_of(live: LiveProgram, act: Act) -> str:
    """The shift that an act counts in: the one that the till names, or else the day."""
    return act.shift or f"{act.at.astimezone(live.program.zone):%Y-%m-%d}"


def _whose(unit: Unit, act: Act, *, reviewed: bool) -> Shown:
    if act.member:
        member = _standing_now(unit, act.member)
        if not member:
            raise NotFound("member", act.member)
        return Shown(member=member, known="any")
    if not act.card:
        raise RequestRefused("no_code", "say whose card it is: card, or member")
    if reviewed:
        return claimed(unit.connection, unit.setting, act.card)
    return recognise(unit.connection, unit.setting, act.card, act.scan or order_of(act), act.at, unit.now)


def _sell(unit: Unit, act: Act, facts: Facts, reviewed: bool) -> _Done:
    amount_of(act)  # whoever it is: this can never be booked
    shown, live = _whose(unit, act, reviewed=reviewed), terms_of(unit)
    snapshot = snapshot_of(act, shown.member, live.program.currency, tills.digest_of(unit.setting.sealer, act))
    points = _told(unit, shown.member, act, OrderSeen(reference=order_of(act), snapshot=snapshot), facts)
    return _Done(shown=shown, points=points, given=_given(live, points))


def _given(live: LiveProgram, points: Mapping[str, int]) -> int:
    return points.get(next(iter(live.program.wallets)), 0)


def amount_of(act: Act) -> Decimal:
    """What a sale came to; raises RequestRefused for one without an amount, or with two that differ."""
    summed = sum((line.amount for line in act.lines), Decimal(0))
    total = act.amount if act.amount is not None else summed
    if act.amount is None and not act.lines:
        raise RequestRefused("no_amount", "say what the sale came to: amount, or lines")
    if act.lines and summed != total:
        raise RequestRefused("amounts_differ", f"the lines come to {summed:f}, and amount says {total:f}: leave it out")
    return total


def snapshot_of(act: Act, member: str, currency: str, digest: str) -> OrderSnapshot:
    """A sale as an order; raises as `amount_of` does."""
    total = amount_of(act)
    lines = tuple(
        OrderLine(reference=f"{index}", quantity=line.quantity, gross=line.amount, sku=line.sku, product=line.product)
        for index, line in enumerate(act.lines, start=1)
    ) or (OrderLine(reference="1", quantity=1, gross=total),)
    return OrderSnapshot(
        stamp=Stamp(at=act.at, digest=digest[:32]),
        number=act.receipt or act.id,
        occurred_at=act.at,
        currency=act.currency or currency,
        total=total,
        paid=True,
        customer=member,
        tax_included=True,
        lines=lines,
        channel="counter",
    )


def _told(unit: Unit, member: str, of: Act, event: OrderSeen | RefundSeen, facts: Facts = NO_FACTS) -> dict[str, int]:
    """Decide what an order is by now; answers what that gave, or took (below 0), by wallet."""
    key = (OWN, order_of(of))
    sourced = Sourced(event=event, connection=OWN, source=OWN, received_at=unit.now, facts=facts)
    identities = Resolved(rows={(OWN, member): _Known(member=member)}, erased={})
    lock_member(unit, member, attributes=True, orders=[key])
    before = _standing(unit, key)
    unit.count(set(counter_keys(unit, sourced, identities)))
    decide_event(unit, sourced, identities)
    after = _standing(unit, key)
    return {name: amount for name in before | after if (amount := after.get(name, 0) - before.get(name, 0))}


def _standing(unit: Unit, key: tuple[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for award in unit.awards.get(f"order:{key[0]}:{key[1]}", {}).values():
        if award.wallet:
            found[award.wallet] = found.get(award.wallet, 0) + award.granted - award.taken
    return found


def _redeem(unit: Unit, act: Act, facts: Facts, reviewed: bool) -> _Done:
    shown = _whose(unit, act, reviewed=reviewed)
    if not act.reward:
        raise RequestRefused("no_reward", "say which reward is taken")
    if not reviewed:
        _check_shown(unit, shown)
    asking = Asking(facts=facts, handed_out=True)
    one = redeeming.hand_out(unit, shown.member, act.reward, act.program, asking, order_of(act))
    points = {one.wallet: -one.price} if one.price else {}
    return _Done(shown=shown, points=points, worth=one.worth, redemption=one.id)


def _check_shown(unit: Unit, shown: Shown) -> None:
    check_proof(shown.known, terms_of(unit).program.card.redeem)


def _use(unit: Unit, act: Act, _: Facts, reviewed: bool) -> _Done:
    """Take in a reward that the member holds already: by its code, which its holder alone has, or from their card."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    if act.code:
        found = find_code(unit.connection, merchant, sealer, act.code)
        shown = Shown(member=found.member if found is not None else "", known="scanned")
    elif not act.redemption:
        raise RequestRefused("no_reward", "say which reward is used: its code, or redemption and the card")
    else:
        shown = _whose(unit, act, reviewed=reviewed)
        if not reviewed:
            _check_shown(unit, shown)
        found = find_redemption(unit.connection, merchant, sealer, act.redemption)
    if found is None or found.member != shown.member:
        raise NotFound("reward of this member", act.code or act.redemption)
    one = redeeming.take_in(unit, found.id, order_of(act))
    return _Done(shown=shown, worth=one.worth, redemption=one.id)


def _target(unit: Unit, act: Act, kinds: tuple[ActKind, ...]) -> tuple[Booked, str]:
    """The act that another is about, locked, and whose it is by now; raises RequestRefused where nothing of it stands."""
    merchant, sealer, key = unit.setting.merchant, unit.setting.sealer, ActKey(act.till, act.of)
    if not act.of:
        raise RequestRefused("no_act", "say which act is taken back: of")
    known = tills.find_act(unit.connection, merchant, sealer, key)
    if known is not None and known.act.kind not in kinds:
        last = f" or {kinds[-1]}" if len(kinds) > 1 else ""
        wanted = ", ".join(kinds[:-1] or kinds) + last
        raise RequestRefused("wrong_kind", f"{act.of} is of the kind {known.act.kind}: {act.kind} is for {wanted}")
    member = ""
    if known is not None and known.member:  # locked before what was done for them, as an erasure does
        member = _standing_now(unit, known.member)
        if not member:
            raise Conflict(
                "erased", f"{act.of} was done for somebody who was erased since: there is nothing to take back"
            )
        lock_member(unit, member)
        known = tills.find_act(unit.connection, merchant, sealer, key, lock=True)
    if known is None:
        raise NotFound("act", act.of)
    if known.status != "done":
        raise Conflict(f"already_{known.status}", f"{act.of} is {known.status}: there is nothing to take back")
    return known, member


def _undo(unit: Unit, act: Act, _: Facts, reviewed: bool) -> _Done:
    (of, member), terms = _target(unit, act, ("earn", "redeem", "use")), terms_of(unit).program.counter
    if not reviewed and (terms.undo is None or act.at - of.act.at > terms.undo):
        instead = "take the sale back instead" if of.act.kind == "earn" else "it stays"
        raise RequestRefused("too_late", f"this can be undone for {_words(terms.undo)}; {instead}")
    shown = Shown(member=member, known="")
    points = _cancelled(unit, of, member, act) if of.act.kind == "earn" else _reopened(unit, of)
    given = _given(terms_of(unit), points) if of.act.kind == "earn" else 0
    _keep(unit, replace(of, status="undone", undone_by=act.id))
    return _Done(shown=shown, points=points, worth=-of.worth, redemption=of.redemption, given=given, of=of.act)


def _words(span: timedelta | None) -> str:
    if span is None:
        return "no time at all"
    hours = span / timedelta(hours=1)
    return f"{hours:g} hours" if hours >= 1 else f"{span.total_seconds() / 60:g} minutes"


def _cancelled(unit: Unit, of: Booked, member: str, act: Act) -> dict[str, int]:
    """Let a sale never have been."""
    known = _snapshot(unit, of, member)
    at = max(act.at, known.stamp.at + timedelta(microseconds=1))
    gone = replace(known, cancelled=True, cancelled_at=at, customer=member, stamp=Stamp(at=at, digest="undone"))
    return _told(unit, member, of.act, OrderSeen(reference=order_of(of.act), snapshot=gone))


def _reopened(unit: Unit, of: Booked) -> dict[str, int]:
    """Give a reward back that was handed out by mistake, with its points, or that was taken in by mistake."""
    where = order_of(of.act)
    if of.act.kind == "use":
        redeeming.unuse(unit, of.redemption, where)
        return {}
    redeeming.take_back(unit, of.redemption, where, "undone at the counter")
    return {name: -points for name, points in of.points.items()}


def _snapshot(unit: Unit, of: Booked, member: str) -> OrderSnapshot:
    key = (OWN, order_of(of.act))
    lock_member(unit, member, attributes=True, orders=[key])
    order = unit.orders.get(key)
    if order is None or order.state.snapshot is None:
        raise NotFound("sale", order_of(of.act))
    return order.state.snapshot


def _return(unit: Unit, act: Act, _: Facts, reviewed: bool) -> _Done:  # noqa: ARG001 - as the table calls it
    of, member = _target(unit, act, ("earn",))
    known = _snapshot(unit, of, member)
    state = unit.orders[OWN, order_of(of.act)].state
    left = known.total - sum((refund.money for refund in standing_refunds(state)), Decimal(0))
    money = left if act.amount is None else act.amount
    if not 0 < money <= left:
        raise RequestRefused("more_than_sold", f"{left:f} of the sale is left to take back, not {money:f}")
    refund = Refund(
        reference=f"{act.till}/{act.id}", stamp=Stamp(at=act.at, digest=act.id), occurred_at=act.at, money=money
    )
    points = _told(unit, member, of.act, RefundSeen(order=order_of(of.act), refund=refund))
    given = _given(terms_of(unit), points)
    return _Done(shown=Shown(member=member, known=""), points=points, given=given, of=of.act)


def _enrol(unit: Unit, act: Act, _: Facts, reviewed: bool) -> _Done:  # noqa: ARG001 - as the table calls it
    """Make somebody a member, or find who has that address; of several at once with the same address one is made."""
    phone = normal_phone(act.phone) if act.phone else None
    if act.phone and phone is None:
        raise RequestRefused("no_phone", f"{act.phone!r} is no phone number: write it with the code of its country")
    if act.email and normal_email(act.email) is None:
        raise RequestRefused("no_email", f"{act.email!r} is no e-mail address")
    if phone is None and not act.email:
        raise RequestRefused("no_address", "say how the customer is reached: phone, or email")
    known = known_by(unit.connection, unit.setting, phone or "", act.email, unit.now)
    if len(known) > 1:
        raise Conflict("several_members", "several members have this address: ask for their card")
    if known:
        (member,) = known
        lock_member(unit, member)
    else:
        told = {"phone": phone, "email": act.email, "first_name": act.first_name, "last_name": act.last_name,
                "language": act.language}  # fmt: skip
        member = create_member(unit, None, {name: value for name, value in told.items() if value})
    ensure_number(unit, member)
    return _Done(shown=Shown(member=member, known="any"))


_CARRIED_OUT: Mapping[ActKind, Callable[[Unit, Act, Facts, bool], _Done]] = {
    "earn": _sell,
    "redeem": _redeem,
    "use": _use,
    "undo": _undo,
    "return": _return,
    "enrol": _enrol,
}
