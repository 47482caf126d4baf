"""Verifications: who is verified as what, the queue of requests, and deciding one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.applying import verifying
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.applying.verifying import ProofStanding
from stampcard.domain.proofs import ProofRequest
from stampcard.errors import NotFound
from stampcard.program.proofs import ProofTerms
from stampcard.storage.proving import count_proofs, find_request, list_requests, place_of
from stampcard_webhooks.asking import Asked, Moment, Nothing, Query, Words
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given

Evidence = dict[
    Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")],
    Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")],
]


class OfferedProofView(BaseModel):
    """Something that members can be verified as, with how many are."""

    program: str
    proof: str
    name: str
    evidence: dict[str, str] = Field(description="What is asked for, each with a sentence.")
    valid: str | None = Field(description="How long it counts; null: for good.")
    members: int


class OfferedProofPage(Page[OfferedProofView]):
    """Everything that members can be verified as, by program."""


class ProofView(BaseModel):
    """A verification as it stands for one member."""

    program: str
    proof: str
    name: str
    status: Literal["none", "asked", "approved", "refused", "expired", "revoked"]
    verified: bool
    since: datetime | None
    until: datetime | None = Field(description="Null for who is verified: it has no end.")
    request: str | None = Field(description="The request that is open; one who is verified can ask again.")
    reason: str = Field(description="Why it was refused or revoked last.")
    can_ask: bool
    evidence: dict[str, str] = Field(description="What is asked for, each with a sentence.")


class ProofPage(Page[ProofView]):
    """Every verification for one member."""


class RequestView(BaseModel):
    """One time that a member asked, with the evidence: personal data."""

    id: str
    member: str
    program: str
    proof: str
    status: Literal["open", "approved", "refused", "withdrawn"]
    asked_at: datetime
    evidence: dict[str, str]
    decided_at: datetime | None
    by: str = Field(description="Who decided: a key's name, or a plugin's.")
    reason: str
    note: str = Field(description="Why no plugin could be asked.")


class RequestPage(Page[RequestView]):
    """Requests, the oldest first."""


class RequestsQuery(PageQuery):
    """Which ones."""

    status: Literal["open", "approved", "refused", "withdrawn"] = "open"


class NewRequest(Asked):
    """Somebody who asks to be verified."""

    program: str = Field(default="", max_length=100)
    evidence: Evidence = Field(default={}, max_length=20)


class Approving(Asked):
    """Up to when."""

    until: Moment | None = Field(default=None, description="Without it as long as the program says.")


class Refusing(Asked):
    """Why not."""

    reason: Words = Field(description="The member may see it.")


class Verifying(Approving):
    """Somebody who is verified without a request."""

    program: str = Field(default="", max_length=100)


class RevokingProof(Refusing):
    """Somebody who is verified no more."""

    program: str = Field(default="", max_length=100)


#: What the program verifies no more.
GIVEN_UP = ProofTerms(ask=False)


def proof_view(told: ProofStanding, now: datetime) -> ProofView:
    """As everybody sees it."""
    one, terms = told.one, told.live.program.proofs.get(told.one.name) or GIVEN_UP
    known = one.since is not None or bool(one.request) or one.status != "asked"
    return ProofView(
        program=told.live.name,
        proof=one.name,
        name=terms.name or one.name,
        status=one.status if known else "none",
        verified=one.verified_at(now),
        since=one.since,
        until=one.until,
        request=one.request or None,
        reason=one.reason,
        can_ask=terms.ask and not one.request,
        evidence=dict(terms.evidence),
    )


def proof_views(connection: Connection, setting: Setting, member: str, now: datetime) -> list[ProofView]:
    """Every verification of a member; raises NotFound."""
    return [proof_view(one, now) for one in verifying.proof_standings(Unit(connection, setting, now), member)]


def _request_view(one: ProofRequest) -> RequestView:
    return RequestView(
        id=one.id,
        member=one.member,
        program=one.program,
        proof=one.name,
        status=one.status,
        asked_at=one.asked_at,
        evidence=dict(one.evidence),
        decided_at=one.decided_at,
        by=one.by,
        reason=one.reason,
        note=one.note,
    )


async def list_proofs(call: Call[Query, Nothing]) -> OfferedProofPage:
    """All."""
    counts = await call.read(lambda connection: count_proofs(connection, call.merchant))
    return OfferedProofPage(
        items=[
            OfferedProofView(
                program=live.name,
                proof=name,
                name=terms.name or name,
                evidence=dict(terms.evidence),
                valid=None if terms.valid is None else str(terms.valid),
                members=counts.get((live.name, name), 0),
            )
            for live in call.setting.programs.current(call.now)
            for name, terms in live.program.proofs.items()
        ]
    )


async def show_proofs(call: Call[Query, Nothing]) -> ProofPage:
    """A member's."""
    return await call.read(lambda c: ProofPage(items=proof_views(c, call.setting, call.path["id"], call.now)))


async def list_proof_requests(call: Call[RequestsQuery, Nothing]) -> RequestPage:
    """The queue."""
    query = call.query

    def work(connection: Connection) -> RequestPage:
        behind = position(query, f"proofs-{query.status}", tuple[Number, Text])
        sealer = call.setting.sealer
        found = list_requests(connection, call.merchant, sealer, query.status, behind, query.limit + 1)
        shown, following = cut(found, query, f"proofs-{query.status}", place_of)
        return RequestPage(items=list(map(_request_view, shown)), next=following)

    return await call.read(work)


async def show_proof_request(call: Call[Query, Nothing]) -> RequestView:
    """One request."""
    id_ = call.path["request"]
    found = await call.read(lambda c: find_request(c, call.merchant, call.setting.sealer, id_))
    if found is None:
        raise NotFound("request", id_)
    return _request_view(found)


async def ask_for_proof(call: Call[Query, NewRequest]) -> Answer:
    """Ask for a member."""
    member, wanted, proof, now = call.path["id"], call.body, call.path["proof"], call.now

    def work(unit: Unit) -> Answer:
        told = verifying.ask(unit, member, wanted.program, proof, wanted.evidence, by_member=False)
        return given(proof_view(told, now), member, 201)

    return await call.write(work)


async def approve_proof(call: Call[Query, Approving]) -> Answer:
    """Approve a request."""
    return await _decide(call, approve=True, until=call.body.until)


async def refuse_proof(call: Call[Query, Refusing]) -> Answer:
    """Refuse a request."""
    return await _decide(call, approve=False, reason=call.body.reason)


async def _decide(
    call: Call[Query, Approving] | Call[Query, Refusing],
    *,
    approve: bool,
    until: datetime | None = None,
    reason: str = "",
) -> Answer:
    id_, now, by = call.path["request"], call.now, call.key.name

    def work(unit: Unit) -> Answer:
        told = verifying.decide(unit, id_, by, approve=approve, until=until, reason=reason)
        return given(proof_view(told, now), next(iter(unit.members), None))

    return await call.write(work)


async def verify_member(call: Call[Query, Verifying]) -> Answer:
    """Verify a member without a request."""
    member, proof, wanted, now = call.path["id"], call.path["proof"], call.body, call.now

    def work(unit: Unit) -> Answer:
        return given(proof_view(verifying.verify(unit, member, wanted.program, proof, wanted.until), now), member)

    return await call.write(work)


async def revoke_proof(call: Call[Query, RevokingProof]) -> Answer:
    """Let a member be verified no more."""
    member, proof, wanted, now = call.path["id"], call.path["proof"], call.body, call.now

    def work(unit: Unit) -> Answer:
        return given(proof_view(verifying.revoke(unit, member, wanted.program, proof, wanted.reason), now), member)

    return await call.write(work)


_ONE = "/members/{id}/proofs/{proof}"
ROUTES = (
    Route(
        method="GET",
        path="/proofs",
        scope="members:read",
        summary="List everything that members can be verified as, with how many are",
        handler=list_proofs,
        gives=OfferedProofPage,
    ),
    Route(
        method="GET",
        path="/proof-requests",
        scope="members:read",
        summary="List requests to be verified, with their evidence; the open ones are the queue",
        handler=list_proof_requests,
        query=RequestsQuery,
        gives=RequestPage,
    ),
    Route(
        method="GET",
        path="/proof-requests/{request}",
        scope="members:read",
        summary="Show a request to be verified, with its evidence",
        handler=show_proof_request,
        gives=RequestView,
    ),
    Route(
        method="POST",
        path="/proof-requests/{request}/approve",
        scope="members:write",
        summary="Approve a request to be verified",
        handler=approve_proof,
        takes=Approving,
        gives=ProofView,
    ),
    Route(
        method="POST",
        path="/proof-requests/{request}/refuse",
        scope="members:write",
        summary="Refuse a request to be verified",
        handler=refuse_proof,
        takes=Refusing,
        gives=ProofView,
    ),
    Route(
        method="GET",
        path="/members/{id}/proofs",
        scope="members:read",
        summary="List what a member is verified as",
        handler=show_proofs,
        gives=ProofPage,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/ask",
        scope="members:write",
        summary="Ask for a member to be verified",
        handler=ask_for_proof,
        takes=NewRequest,
        gives=ProofView,
        status=201,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/verify",
        scope="members:write",
        summary="Verify a member without a request",
        handler=verify_member,
        takes=Verifying,
        gives=ProofView,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/revoke",
        scope="members:write",
        summary="Let a member be verified no more",
        handler=revoke_proof,
        takes=RevokingProof,
        gives=ProofView,
    ),
)
