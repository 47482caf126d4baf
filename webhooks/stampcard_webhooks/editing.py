"""Creating, changing and forgetting members."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator
from sqlalchemy import Connection

from stampcard.applying.erasing import erase_members
from stampcard.applying.locking import lock_member
from stampcard.applying.requests import Answer, change_attributes, change_many, create_member
from stampcard.applying.unit import Unit
from stampcard.domain.value import replace
from stampcard_webhooks.asking import Asked, Name, Nothing, Query, Scalar
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import Counted, MemberView, member_views

#: So many members change in one request.
MOST = 100

ConnectionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$")]
Attributes = dict[Name, Scalar]


class NewIdentity(Asked):
    """How a connection calls the member."""

    connection: ConnectionName
    reference: Name


class NewMember(Asked):
    """Somebody who signs up."""

    identity: NewIdentity | None = Field(
        default=None, description="Without one the member is known by our own id alone."
    )
    attributes: Attributes = Field(default={}, description="Those that the program declares, and the built-in ones.")


class AttributeChange(Asked):
    """Attributes to set; null removes one, the others stay."""

    attributes: Attributes


class MemberChange(AttributeChange):
    """Attributes of one member of a batch."""

    id: Name


class MemberChanges(Asked):
    """Changes of several members: all are made, or none."""

    items: list[MemberChange] = Field(min_length=1, max_length=MOST)

    @field_validator("items")
    @classmethod
    def _each_once(cls, items: list[MemberChange]) -> list[MemberChange]:
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise ValueError(f"names {item.id!r} twice")
            seen.add(item.id)
        return items


async def add_member(call: Call[Query, NewMember]) -> Answer:
    """A new member; raises Conflict for an identity that is known."""
    wanted = call.body
    identity = (call.source(wanted.identity.connection), wanted.identity.reference) if wanted.identity else None

    def work(unit: Unit) -> Answer:
        return Answer(status=201, body={}, member=create_member(unit, identity, wanted.attributes))

    return await call.write(work, lambda connection, made: _shown(connection, call, made))


async def change_member(call: Call[Query, AttributeChange]) -> Answer:
    """Other attributes for one member."""
    id_ = call.path["id"]

    def work(unit: Unit) -> Answer:
        change_attributes(unit, id_, call.body.attributes)
        return Answer(status=200, body={}, member=id_)

    return await call.write(work, lambda connection, made: _shown(connection, call, made))


def _shown(connection: Connection, call: Call[Query, NewMember] | Call[Query, AttributeChange], made: Answer) -> Answer:
    assert made.member is not None
    (view,) = member_views(connection, call.setting, [made.member], call.now)
    return replace(made, body=view.model_dump(mode="json"))


async def change_members(call: Call[Query, MemberChanges]) -> Answer:
    """Other attributes for several members; the answer tells nothing personal, because nobody could erase it."""

    def work(unit: Unit) -> Answer:
        change_many(unit, [(item.id, item.attributes) for item in call.body.items])
        return given(Counted(count=len(call.body.items)))

    return await call.write(work)


async def erase_member(call: Call[Query, Nothing]) -> Answer:
    """Forget everything personal; the anonymous ledger stays."""
    id_ = call.path["id"]

    def work(unit: Unit) -> Answer:
        lock_member(unit, id_)
        erase_members(unit, [id_])
        return Answer(status=204, body={})

    return await call.write(work)


ROUTES = (
    Route(
        method="POST",
        path="/members",
        scope="members:write",
        summary="Create a member",
        handler=add_member,
        takes=NewMember,
        gives=MemberView,
        status=201,
    ),
    Route(
        method="PATCH",
        path="/members",
        scope="members:write",
        summary="Change attributes of several members, all or none",
        handler=change_members,
        takes=MemberChanges,
        gives=Counted,
    ),
    Route(
        method="PATCH",
        path="/members/{id}",
        scope="members:write",
        summary="Change a member's attributes",
        handler=change_member,
        takes=AttributeChange,
        gives=MemberView,
    ),
    Route(
        method="DELETE",
        path="/members/{id}",
        scope="members:write",
        summary="Erase a member's personal data",
        handler=erase_member,
        gives=None,
        status=204,
    ),
)
