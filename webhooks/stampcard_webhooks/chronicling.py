"""What happened to one member, in one order of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.setting import Setting
from stampcard.domain.events import (
    ConsentChanged,
    ContactSeen,
    CustomEvent,
    DayCame,
    HoldChanged,
    MembershipChanged,
    MembersMerged,
    RefundSeen,
    SegmentChanged,
)
from stampcard.domain.happenings import Happened
from stampcard.domain.imports import Before
from stampcard.domain.ledger import Entry
from stampcard.domain.orders import standing_refunds
from stampcard.domain.rewards import Redemption
from stampcard.engine.versions import Programs
from stampcard.engine.wording import change_words, points_words
from stampcard.engine.world import Order
from stampcard.program.events import BIRTHDAY
from stampcard.storage.chronicling import MESSAGED, Happening, Heard, Messaged, Place, timeline
from stampcard.storage.reading import scale_of
from stampcard_webhooks.asking import Nothing
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cursor_of, position
from stampcard_webhooks.reasons import ReasonView, reason_views
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.showing import check_member

_LIST = "timeline"
_Rank = Annotated[int, msgspec.Meta(ge=0, le=MESSAGED)]
_Cursor = tuple[Literal["newer", "older"], Number, _Rank, Text, Text, Number]
#: What an entry did, for people; the points stand before it.
_DID = {
    "earn": "earned",
    "restore": "given again",
    "claw_back": "taken back",
    "activate": "became usable",
    "expire": "expired",
    "lapse": "lapsed, because what they waited for did not come",
    "spend": "spent",
    "cancel_spend": "came back from a spend",
    "hold": "set aside",
    "redeem": "spent",
    "release": "free again",
}
#: What became of somebody's part in a program.
_STATES = {
    "active": "Takes part in {program}, confirmed or back again.",
    "unconfirmed": "Takes part in {program}, unconfirmed.",
    "frozen": "Their part in {program} is frozen.",
    "closed": "Takes part in {program} no more: left its segment.",
    "left": "Left {program}.",
}
#: The account on which the points of an entry are found, and which way.
_Shown = Literal["pending", "held", "issued", "redeemed", "expired", "adjusted", "imported"]
_COUNTED: dict[str, tuple[_Shown, int]] = {
    "earn": ("issued", -1),
    "restore": ("issued", -1),
    "claw_back": ("issued", 1),
    "activate": ("pending", -1),
    "expire": ("expired", 1),
    "lapse": ("expired", 1),
    "spend": ("redeemed", 1),
    "cancel_spend": ("redeemed", -1),
    "adjust": ("adjusted", -1),
    "hold": ("held", 1),
    "redeem": ("redeemed", 1),
    "release": ("held", -1),
    "import": ("imported", -1),
}


class HappeningView(BaseModel):
    """One thing that happened. An order is shown once, as it is now, at the time when it was placed."""

    kind: str = Field(
        description="`joined`, `order`, the kind of an event (`custom_event`, `refund_seen`, `customer_seen` …), `redemption`, `message`, `history` (told by an import), or that "
        "of an entry of the ledger (`earn`, `spend`, `expire`, `adjust` …)."
    )
    at: datetime = Field(description="When it happened, by the source's clock.")
    recorded_at: datetime = Field(description="When we learnt it or booked it.")
    subject: str = Field(description="What it is about: `order:<connection>:<reference>`, `program:<id>` …")
    wallet: str | None
    points: int | None = Field(description="In the wallet's smallest unit, as `kind` says: spent, expired, …")
    scale: int | None
    note: str = Field(description="The reason of an adjustment, the note of a spend.")
    reasons: list[ReasonView]
    words: str


class TimelinePage(Page[HappeningView]):
    """What happened, newest first; `next` leads to what is older."""

    previous: str | None = Field(description="The cursor of the page with what is newer; null on the newest.")


async def show_timeline(call: Call[PageQuery, Nothing]) -> TimelinePage:
    """A page of a member's time."""
    return await call.read(lambda connection: timeline_page(connection, call.setting, call.path["id"], call.query))


def timeline_page(connection: Connection, setting: Setting, member: str, query: PageQuery) -> TimelinePage:
    """Raises NotFound, also for a member who was erased."""
    check_member(connection, setting, member)
    place: _Cursor | None = position(query, _LIST, _Cursor)
    newer, beside = place is not None and place[0] == "newer", None if place is None else Place(*place[1:])
    found = timeline(connection, setting.merchant, member, beside, query.limit + 1, newer=newer)
    more = len(found) > query.limit
    shown = (found[1:] if newer else found[:-1]) if more else found
    return TimelinePage(
        items=[_view(happening, setting.programs) for happening in shown],
        next=_cursor("older", shown[-1]) if shown and (newer or more) else None,
        previous=_cursor("newer", shown[0]) if shown and (more if newer else beside is not None) else None,
    )


def _cursor(direction: str, happening: Happening) -> str:
    return cursor_of(_LIST, (direction, *happening.place))


def _view(happening: Happening, programs: Programs) -> HappeningView:
    match happening.what:
        case Entry() as entry:
            return _booked(happening, entry, programs)
        case Before() as before:
            return _brought(happening, before, programs)
        case Heard() as heard:
            kind = heard.event.__struct_config__.tag
            order_, at = None, happening.at
            reasons = [] if kind == "customer_seen" else reason_views(heard.reasons, order_, programs, at)
            return _plain(happening, str(kind), heard.subject, _heard_words(heard), reasons)
        case what:
            return _plain(happening, *_told(what))


def _told(what: str | Order | Redemption | Messaged) -> tuple[str, str, str]:
    """Its kind, what it is about, and its words."""
    match what:
        case Redemption():
            return "redemption", what.subject or f"redemption:{what.id}", _redemption_words(what)
        case Order():
            return "order", what.subject, _order_words(what)
        case Messaged():
            return "message", f"message:{what.id}", _message_words(what)
    return "joined", f"program:{what}", f"Joined the program {what!r}."


def _plain(
    happening: Happening, kind: str, subject: str, words: str, reasons: Sequence[ReasonView] = ()
) -> HappeningView:
    return HappeningView(
        kind=kind,
        at=happening.at,
        recorded_at=happening.recorded_at,
        subject=subject,
        wallet=None,
        points=None,
        scale=None,
        note="",
        reasons=list(reasons),
        words=words,
    )


def _points_of(entry: Entry) -> int:
    """The points that an entry tells of; of a merge those that came or went, whether they can be used yet or not."""
    if entry.kind in {"merge", "unmerge"}:
        return entry.postings.get("active", 0) + entry.postings.get("pending", 0)
    account, sign = _COUNTED[entry.kind]
    return sign * entry.postings.get(account, 0)


def _booked(happening: Happening, entry: Entry, programs: Programs) -> HappeningView:
    points, scale = _points_of(entry), scale_of(programs, entry.wallet)
    return HappeningView(
        kind=entry.kind,
        at=happening.at,
        recorded_at=happening.recorded_at,
        subject=entry.subject,
        wallet=entry.wallet,
        points=points,
        scale=scale,
        note=entry.note,
        reasons=[],
        words=_entry_words(entry, points, scale),
    )


def _brought(happening: Happening, before: Before, programs: Programs) -> HappeningView:
    scale = scale_of(programs, before.wallet) if before.wallet else None
    points = f"{points_words(before.points, scale)} {before.wallet}" if scale is not None else ""
    told = ": ".join(filter(None, (points, before.note))) or "something"
    view = _plain(happening, "history", "history", f"Elsewhere, before the import: {told}.")
    return view.model_copy(
        update={
            "wallet": before.wallet or None,
            "points": before.points if before.wallet else None,
            "scale": scale,
            "note": before.note,
        }
    )


def _entry_words(entry: Entry, points: int, scale: int) -> str:
    did = _DID.get(entry.kind, "added by hand" if points > 0 else "taken by hand")
    if entry.kind == "import":
        did = "imported" if points > 0 else "taken back with their import"
    elif entry.kind in {"merge", "unmerge"}:
        why = "by a merge" if entry.kind == "merge" else "because a merge was undone"
        did = f"came {why}" if points > 0 else f"went away {why}"
    told = f"{points_words(abs(points), scale)} {entry.wallet} {did}"
    if entry.rule:
        told += f" by rule {entry.rule!r} ({entry.subject})"
    return f"{told}: {entry.note}" if entry.note else f"{told}."


def _redemption_words(one: Redemption) -> str:
    how = f"Rule {one.rule!r} gave" if one.rule else "Took"
    places = f" on {', '.join(one.orders)}" if one.orders else ""
    because = f" ({one.reason})" if one.reason else ""
    return f"{how} the reward {one.reward!r}, {one.gives}: {one.status} now{places}{because}."


def _message_words(message: Messaged) -> str:
    why = f" ({message.reason})" if message.reason else ""
    return f"Message {message.name!r} by {message.channel}: {message.state}{why}."


def _order_words(order: Order) -> str:
    snapshot = order.state.snapshot
    if snapshot is None:
        return f"Refunds of an order of {order.source!r} that is not known yet."
    state = "cancelled" if snapshot.cancelled else "paid" if snapshot.paid else "not paid"
    back = sum((refund.money for refund in standing_refunds(order.state)), start=snapshot.total * 0)
    refunded = f", {back:f} refunded" if back else ""
    return f"Order {snapshot.number} of {snapshot.total:f} {snapshot.currency} at {order.source!r}: {state}{refunded}."


def _heard_words(heard: Heard) -> str:
    match heard.event:
        case CustomEvent(name=name):
            return f"Event {name!r} of {heard.connection!r}."
        case RefundSeen(refund=refund):
            return f"Refund {refund.reference} of {refund.money:f} ({heard.subject})."
        case ContactSeen():
            return f"Their contact at {heard.connection!r} said something new."
        case event if isinstance(event, Happened):
            return _own_words(event)
        case event:
            return f"{heard.connection!r} told: {str(event.__struct_config__.tag).replace('_', ' ')}."


def _own_words(event: Happened) -> str:
    """What no source tells, but the calendar, the member, people, and what members did."""
    match event:
        case DayCame(name=name):
            words = f"Their {'birthday' if name == BIRTHDAY else 'anniversary of joining'}."
        case ConsentChanged(channel=channel, purpose=purpose, state=state):
            words = f"Consent to {purpose} by {channel}: {state}."
        case HoldChanged(held=held):
            words = "Was put on hold." if held else "The hold ended."
        case SegmentChanged(segment=segment, program=program, entered=entered):
            words = f"{'Came into' if entered else 'Left'} the segment {segment!r} of {program}."
        case MembershipChanged(program=program, state=state):
            words = _STATES[state].format(program=program)
        case MembersMerged(other=other, merged=merged):
            words = f"{other} was merged into this member." if merged else f"The merge with {other} was undone."
        case _:
            words = change_words(event)
    return words


ROUTES = (
    Route(
        method="GET",
        path="/members/{id}/timeline",
        scope="members:read",
        summary="List what happened to a member, in one order of time",
        handler=show_timeline,
        query=PageQuery,
        gives=TimelinePage,
    ),
)
