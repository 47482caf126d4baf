"""What a member takes part in: joining, confirming, leaving."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import enrolling
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member, MembershipState
from stampcard.storage.loading import load_members
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member


class MembershipView(BaseModel):
    """A member's part in one program."""

    program: str
    joined_at: datetime
    state: MembershipState = Field(
        description="unconfirmed: points wait, nothing is redeemed; frozen: nothing is earned or redeemed; "
        "closed: by leaving the segment; left: by leaving the program."
    )


class Memberships(BaseModel):
    """All that a member takes part in, or did."""

    member: str
    items: list[MembershipView]


class NewMembership(Asked):
    """Which program."""

    program: str = Field(min_length=1, max_length=40)


def membership_views(person: Member) -> list[MembershipView]:
    """What a member takes part in, by the program's name."""
    return [
        MembershipView(program=name, joined_at=person.joined[name], state=person.states.get(name, "active"))
        for name in sorted(person.programs)
    ]


def _views(connection: Connection, setting: Setting, id_: str) -> Memberships:
    member = check_member(connection, setting, id_)
    found = load_members(connection, setting.merchant, [member], setting.sealer, attributes=False, lock=False)
    return Memberships(member=member, items=membership_views(found[member]))


async def list_memberships(call: Call[Query, Nothing]) -> Memberships:
    """All of a member's."""
    return await call.read(lambda connection: _views(connection, call.setting, call.path["id"]))


def _shown(unit: Unit, member: str, program: str, status: int = 200) -> Answer:
    (view,) = [one for one in membership_views(unit.members[member]) if one.program == program]
    return given(view, member, status)


async def join(call: Call[Query, NewMembership]) -> Answer:
    """Join, or come back."""
    member, program = call.path["id"], call.body.program

    def work(unit: Unit) -> Answer:
        enrolling.join(unit, member, program)
        return _shown(unit, member, program, 201)

    return await call.write(work)


async def confirm(call: Call[Query, Nothing]) -> Answer:
    """Confirm."""
    member, program = call.path["id"], call.path["program"]

    def work(unit: Unit) -> Answer:
        enrolling.confirm(unit, member, program)
        return _shown(unit, member, program)

    return await call.write(work)


async def leave(call: Call[Query, Nothing]) -> Answer:
    """Leave."""
    member, program = call.path["id"], call.path["program"]

    def work(unit: Unit) -> Answer:
        enrolling.leave(unit, member, program)
        return _shown(unit, member, program)

    return await call.write(work)


ROUTES = (
    Route(
        method="GET",
        path="/members/{id}/memberships",
        scope="members:read",
        summary="List the programs that a member takes part in",
        handler=list_memberships,
        gives=Memberships,
    ),
    Route(
        method="POST",
        path="/members/{id}/memberships",
        scope="members:write",
        summary="Let a member join a program, or come back to it",
        handler=join,
        takes=NewMembership,
        gives=MembershipView,
        status=201,
    ),
    Route(
        method="POST",
        path="/members/{id}/memberships/{program}/confirm",
        scope="members:write",
        summary="Confirm that a member wants to take part",
        handler=confirm,
        gives=MembershipView,
    ),
    Route(
        method="DELETE",
        path="/members/{id}/memberships/{program}",
        scope="members:write",
        summary="End a member's part in a program: the points expire",
        handler=leave,
        gives=MembershipView,
    ),
)
