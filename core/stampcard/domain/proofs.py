"""Verification: what members ask to be recognised as, with evidence, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from stampcard.domain.value import Value

RequestStatus = Literal["open", "approved", "refused", "withdrawn"]
ProofStatus = Literal["asked", "approved", "refused", "expired", "revoked"]


class Eligibility(Value, frozen=True):
    """What a plugin says to a request: approved or not, and why not; `until`: instead of the program's validity."""

    approved: bool
    reason: str = ""
    until: datetime | None = None


class ProofRequest(Value, frozen=True):
    """One time that a member asked; `evidence` by field, personal, and opened only where somebody looks at it.

    `by`: who decided; `reason`: why not, which the member may see. `note`: why nobody could be asked at once.
    """

    id: str
    member: str
    program: str
    name: str
    status: RequestStatus
    asked_at: datetime
    evidence: Mapping[str, str] = {}
    decided_at: datetime | None = None
    by: str = ""
    reason: str = ""
    note: str = ""


class Proof(Value, frozen=True, omit_defaults=True):
    """What a member is verified as in one program, and how it stands.

    `since` and `until`: what was approved, None for no end; `remind_at`: when the member is told of the end, None once that was
    done. `request`: the one that is open; it changes nothing of what was approved before. `reason`: of the last refusal.
    """

    program: str
    name: str
    status: ProofStatus = "asked"
    since: datetime | None = None
    until: datetime | None = None
    remind_at: datetime | None = None
    request: str = ""
    reason: str = ""

    def verified_at(self, at: datetime) -> bool:
        """Whether the member is verified, when nothing but time has passed."""
        return self.since is not None and (self.until is None or at < self.until)

    @property
    def next_at(self) -> datetime | None:
        """When time alone changes it."""
        ends = (self.remind_at, self.until) if self.since is not None else ()
        return min((end for end in ends if end is not None), default=None)


class ProofChanged(Value, frozen=True, tag="proof_changed", omit_defaults=True):
    """What happened to a verification. `way`: asked, approved, refused, ending (a notice), expired, revoked."""

    program: str
    proof: str
    way: Literal["asked", "approved", "refused", "ending", "expired", "revoked"]
    occurred_at: datetime
    until: datetime | None = None
