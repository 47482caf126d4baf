"""Tills, the people who work at them, and their shifts. A link that pairs and a PIN are shown once, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.tokens import LINK, new_pairing
from stampcard.engine.versions import Programs
from stampcard.errors import Conflict, NotFound
from stampcard.sealing import Sealer
from stampcard.storage import staffing
from stampcard.storage.staffing import Shift, Till, Worker
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.counters import Brief, TillName
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.pairing import PLACE
from stampcard_webhooks.routing import Call, Route, given

_MANAGE = "counter:manage"

WorkerName = Annotated[
    str, StringConstraints(pattern=r"^[^\s/\x00-\x1f\x7f]([^/\x00-\x1f\x7f]{0,98}[^\s/\x00-\x1f\x7f])?$")
]


class TillView(BaseModel):
    """A till."""

    name: str
    branch: str
    made_at: datetime
    ended_at: datetime | None = Field(description="Since when nobody works at it any more.")


class TillPage(Page[TillView]):
    """All tills, by name."""


class NewTill(Asked):
    """A till that is to be paired."""

    name: TillName
    branch: Brief = Field(default="", description="Where it stands.")


class PairingAnew(Asked):
    """A till whose devices are to be others."""

    branch: Brief = Field(default="", description="Where it stands now; by default where it stood.")


class PairedView(TillView):
    """A till, and the link that makes a device one of its own."""

    url: str = Field(description="Opened on the device, it pairs it; shown this once.")
    expires_at: datetime = Field(description="Until when the link is good.")


class WorkerView(BaseModel):
    """Somebody who works at tills."""

    id: str
    name: str
    made_at: datetime
    ended_at: datetime | None = Field(description="Since when they work here no more.")


class WorkerPage(Page[WorkerView]):
    """All who work here, or did, by name."""


class NewWorker(Asked):
    """Somebody who is to work at tills."""

    name: WorkerName


class PinView(BaseModel):
    """A PIN, shown this once."""

    name: str
    pin: str


class ShiftView(BaseModel):
    """A shift at a till, and what it has given."""

    till: str
    name: str = Field(description="As the till calls it; of one that was begun with a PIN only the beginning.")
    staff: str | None = Field(description="Whose it is; null where the till says it itself.")
    opened_at: datetime
    closed_at: datetime | None
    points: int = Field(description="Given by sales in the first wallet, less what came back, in its smallest unit.")
    scale: int
    worth: str = Field(description="Of the rewards that were handed out, in the program's currency.")
    typed: int = Field(description="Cards that were typed instead of scanned.")


class ShiftPage(Page[ShiftView]):
    """Shifts, the newest first."""


class ShiftsQuery(PageQuery):
    """Which ones."""

    till: str = Field(default="", max_length=64, pattern=r"^[^\x00]*$")


async def list_tills(call: Call[Query, Nothing]) -> TillPage:
    """All."""
    found = await call.read(lambda connection: staffing.list_tills(connection, call.merchant))
    return TillPage(items=[till_view(one) for one in found])


async def make_till(call: Call[Query, NewTill]) -> Answer:
    """Make a till, with the link that pairs its first device; raises Conflict for one that is there."""
    name, branch = call.body.name, call.body.branch

    def work(unit: Unit) -> Answer:
        known = staffing.find_till(unit.connection, unit.setting.merchant, name)
        if known is not None and known.ended_at is None:
            what = f"there is a till {name!r} already: POST /tills/{name}/pair pairs it anew"
            raise Conflict("till_exists", what)
        return given(paired(unit.connection, unit.setting, name, branch, unit.now), status=201)

    return await call.write(work)


async def pair_anew(call: Call[Query, PairingAnew]) -> Answer:
    """Another link for a till; devices that were paired before are out."""
    name, branch = call.path["name"], call.body.branch

    def work(unit: Unit) -> Answer:
        known = staffing.find_till(unit.connection, unit.setting.merchant, name)
        if known is None or known.ended_at is not None:
            raise NotFound("till", name)
        return given(paired(unit.connection, unit.setting, name, branch, unit.now))

    return await call.write(work)


async def end_till(call: Call[Query, Nothing]) -> Answer:
    """Let nobody work at a till any more."""

    def work(unit: Unit) -> Answer:
        staffing.end_till(unit.connection, unit.setting.merchant, call.path["name"], unit.now)
        return Answer(status=204, body={})

    return await call.write(work)


def paired(connection: Connection, setting: Setting, name: str, branch: str, now: datetime) -> PairedView:
    """Make a till or pair it anew; the view has the link, of which nothing is stored."""
    till = staffing.pair_till(connection, setting.merchant, name, branch, now)
    url = pairing_url(setting.sealer, setting.merchant, setting.public_url, till, now)
    return PairedView(**till_view(till).model_dump(), url=url, expires_at=now + LINK)


def pairing_url(sealer: Sealer, merchant: str, base: str, till: Till, now: datetime) -> str:
    """The link that makes a device one of a till's."""
    return f"{base}{PLACE}/pair/{new_pairing(sealer, merchant, till.name, till.pairing, now)}"


def till_view(one: Till) -> TillView:
    """A till as shown."""
    return TillView(name=one.name, branch=one.branch, made_at=one.made_at, ended_at=one.ended_at)


async def list_staff(call: Call[Query, Nothing]) -> WorkerPage:
    """All."""
    found = await call.read(lambda connection: staffing.list_workers(connection, call.merchant))
    return WorkerPage(items=[worker_view(one) for one in found])


async def add_worker(call: Call[Query, NewWorker]) -> Answer:
    """Let somebody work at tills, by a PIN of their own."""
    name = call.body.name

    def work(unit: Unit) -> Answer:
        setting = unit.setting
        _, pin = staffing.add_worker(unit.connection, setting.merchant, setting.sealer, name, unit.now)
        return given(PinView(name=name, pin=pin), status=201)

    return await call.write(work)


async def renew_pin(call: Call[Query, Nothing]) -> Answer:
    """Another PIN for somebody; the one of before opens nothing any more."""
    name = call.path["name"]

    def work(unit: Unit) -> Answer:
        pin = staffing.renew_pin(unit.connection, unit.setting.merchant, unit.setting.sealer, name, unit.now)
        return given(PinView(name=name, pin=pin))

    return await call.write(work)


async def remove_worker(call: Call[Query, Nothing]) -> Answer:
    """Let somebody work here no more."""

    def work(unit: Unit) -> Answer:
        staffing.end_worker(unit.connection, unit.setting.merchant, call.path["name"], unit.now)
        return Answer(status=204, body={})

    return await call.write(work)


def worker_view(one: Worker) -> WorkerView:
    """Somebody who works at tills as shown."""
    return WorkerView(id=one.id, name=one.name, made_at=one.made_at, ended_at=one.ended_at)


async def list_shifts(call: Call[ShiftsQuery, Nothing]) -> ShiftPage:
    """All, or those of one till."""
    query = call.query
    place = position(query, "shifts", tuple[Number, Text, Text])

    def look(connection: Connection) -> tuple[list[Shift], list[Worker]]:
        found = staffing.list_shifts(connection, call.merchant, query.till or None, place, query.limit + 1)
        return list(found), staffing.list_workers(connection, call.merchant)

    found, workers = await call.read(look)
    shown, following = cut(found, query, "shifts", staffing.place_of)
    return ShiftPage(items=shift_views(shown, workers, call.setting.programs, call.now), next=following)


def shift_views(
    shifts: Iterable[Shift], workers: Iterable[Worker], programs: Programs, now: datetime
) -> list[ShiftView]:
    """Shifts as shown, with who worked."""
    names = {one.id: one.name for one in workers}
    live = next(iter(programs.current(now)), None)
    scale = next(iter(live.program.wallets.values())).scale if live is not None else 0
    return [_shift_view(one, names.get(one.staff), scale) for one in shifts]


def _shift_view(one: Shift, staff: str | None, scale: int) -> ShiftView:
    return ShiftView(
        till=one.till,
        name=staffing.shown_shift(one.name, one.staff),
        staff=staff,
        opened_at=one.opened_at,
        closed_at=one.closed_at,
        points=one.points,
        scale=scale,
        worth=f"{Decimal(one.worth).scaleb(-4):.2f}",
        typed=one.typed,
    )


ROUTES = (
    Route(method="GET", path="/tills", scope=_MANAGE, summary="List tills", handler=list_tills, gives=TillPage),
    Route(
        method="POST",
        path="/tills",
        scope=_MANAGE,
        summary="Make a till, with the link that pairs its first device",
        handler=make_till,
        takes=NewTill,
        gives=PairedView,
        status=201,
    ),
    Route(
        method="POST",
        path="/tills/{name}/pair",
        scope=_MANAGE,
        summary="Pair a till anew: its devices of before are out",
        handler=pair_anew,
        takes=PairingAnew,
        gives=PairedView,
    ),
    Route(
        method="DELETE",
        path="/tills/{name}",
        scope=_MANAGE,
        summary="End a till with its shifts",
        handler=end_till,
        gives=None,
        status=204,
    ),
    Route(
        method="GET",
        path="/staff",
        scope=_MANAGE,
        summary="List the people who work at tills",
        handler=list_staff,
        gives=WorkerPage,
    ),
    Route(
        method="POST",
        path="/staff",
        scope=_MANAGE,
        summary="Let somebody work at tills; the answer has their PIN, this once",
        handler=add_worker,
        takes=NewWorker,
        gives=PinView,
        status=201,
    ),
    Route(
        method="POST",
        path="/staff/{name}/renew",
        scope=_MANAGE,
        summary="Give somebody another PIN; the answer has it, this once",
        handler=renew_pin,
        gives=PinView,
    ),
    Route(
        method="DELETE",
        path="/staff/{name}",
        scope=_MANAGE,
        summary="Let somebody work here no more, and end their shifts",
        handler=remove_worker,
        gives=None,
        status=204,
    ),
    Route(
        method="GET",
        path="/counter/shifts",
        scope="counter:review",
        summary="List shifts with what they have given",
        handler=list_shifts,
        query=ShiftsQuery,
        gives=ShiftPage,
    ),
)
