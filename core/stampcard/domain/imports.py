"""What is brought over from another platform: the rows of a file, and the file as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from stampcard.domain.consents import ConsentState
from stampcard.domain.value import Value

Kind = Literal["member", "lot", "tier", "history", "referral"]
KINDS: tuple[Kind, ...] = ("member", "lot", "tier", "history", "referral")

#: reading: rows are brought in; sending: the shop is to hear of them; then it has ended, until somebody undoes it.
State = Literal["reading", "sending", "ended", "undoing", "undone"]
#: Why an address gets nothing.
REASONS = ("imported", "bounced", "complained", "unsubscribed", "address", "hand")
#: What a file holds.
Holds = Literal["members", "consents", "suppressions"]


class Row(Value, frozen=True, omit_defaults=True):
    """One row of a file, understood: who, and what they bring.

    `reference`: how the connection calls them. `points` in the wallet's smallest unit; of a row of history they are only
    shown. `forever`: the points never expire, whatever the wallet says. `friend`: whom a referral brought, by address.
    """

    line: int
    kind: Kind = "member"
    reference: str = ""
    email: str = ""
    attributes: Mapping[str, Any] = {}
    joined_at: datetime | None = None
    wallet: str = ""
    points: int = 0
    available_from: datetime | None = None
    expires_at: datetime | None = None
    forever: bool = False
    tier: str = ""
    tier_until: datetime | None = None
    at: datetime | None = None
    note: str = ""
    code: str = ""
    friend: str = ""


class ConsentRow(Value, frozen=True):
    """One row of a file that tells what a member said, who is meant by the first of these that is somebody's.

    `member`: our id. `reference`: how `connection` calls them.
    """

    line: int
    channel: str
    purpose: str
    state: ConsentState
    at: datetime
    member: str = ""
    connection: str = ""
    reference: str = ""
    email: str = ""
    phone: str = ""
    source: str = ""
    text: str = ""
    ip: str = ""


class SuppressionRow(Value, frozen=True):
    """One row of a file that names an address that gets nothing by a channel."""

    line: int
    channel: str
    address: str
    reason: str
    at: datetime | None = None
    note: str = ""


class Before(Value, frozen=True):
    """What happened elsewhere before, as a file told it: shown, and in no balance."""

    wallet: str
    points: int
    note: str


class Intake(Value, frozen=True):
    """One file that was imported, or is being; the numbers count its rows, `members` those whom it made.

    `place`: all up to there is done: the number of rows read, or a member. `error_bytes`: how long the file of errors was
    when that was written down. `options`: how the file is read, so that it can be read again.
    """

    id: str
    file: str
    fingerprint: str
    program: str
    connection: str
    options: Mapping[str, Any]
    state: State
    place: str
    total: int
    applied: int
    known: int
    refused: int
    members: int
    error_bytes: int
    started_at: datetime
    ended_at: datetime | None = None
    undone_at: datetime | None = None

    @property
    def holds(self) -> Holds:
        """What its file holds."""
        found: Holds = self.options.get("holds", "members")
        return found

    @property
    def subject(self) -> str:
        """What its entries and lots are about."""
        return f"import:{self.id}"

    @property
    def done(self) -> int:
        """How many rows are read."""
        return self.applied + self.known + self.refused
