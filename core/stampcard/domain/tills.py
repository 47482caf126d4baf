"""What happens at a counter: acts, as a till tells them, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

from stampcard.domain.value import Value

#: Earn: a sale. Redeem: a reward is taken and handed out. Use: a code or a reward that the member holds is taken in. Undo:
#: another act was a mistake. Return: a sale, or a part of it, comes back. Enrol: somebody becomes a member.
ActKind = Literal["earn", "redeem", "use", "undo", "return", "enrol"]
ACT_KINDS: tuple[ActKind, ...] = get_args(ActKind)
#: Held: it happened at the till, and could not be booked; a person decides. Dismissed: they decided that it is not booked.
ActStatus = Literal["done", "refused", "held", "dismissed", "undone"]
#: What a card that is shown proves: a number that anybody may type, a code that lasts, or one of just now.
Proof = Literal["any", "scanned", "fresh"]
PROOFS: tuple[Proof, ...] = get_args(Proof)
#: How whoever stands at the counter was known, if by a card at all.
Known = Literal[Proof, ""]


class SoldLine(Value, frozen=True):
    """A line of a sale; `amount` is for all of it, after discounts."""

    amount: Decimal
    quantity: int = 1
    sku: str = ""
    product: str = ""


class Act(Value, frozen=True, omit_defaults=True):
    """One thing that was done at a till, told as often as the till likes: `till` and `id` make it one.

    `at`: by the till's clock. `card`: what was scanned or typed: a code, a number, a phone number (``+49…``), or `member`, a
    member's id. `scan`: what the till called the scanning, where it asked about the card before. `of`: another act's id, to
    undo it or take its sale back. `code`: of a reward that the member holds, or `redemption`, its id. `timed`: the till said itself when it was.
    """

    till: str
    id: str
    kind: ActKind
    at: datetime
    card: str = ""
    member: str = ""
    scan: str = ""
    shift: str = ""
    staff: str = ""
    receipt: str = ""
    amount: Decimal | None = None
    currency: str = ""
    lines: tuple[SoldLine, ...] = ()
    reward: str = ""
    program: str = ""
    redemption: str = ""
    code: str = ""
    of: str = ""
    phone: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    timed: bool = True


class Booked(Value, frozen=True):
    """What became of an act.

    `points`: given (above 0) or taken, by wallet, in its smallest unit. `worth`: of what was handed out, in
    ten-thousandths of the program's currency. `code` and `detail`: why it was refused or held. `undone_by`: the act that took
    it back.
    """

    act: Act
    status: ActStatus
    received_at: datetime
    member: str = ""
    known: Known = ""
    points: Mapping[str, int] = {}
    worth: int = 0
    redemption: str = ""
    code: str = ""
    detail: str = ""
    undone_by: str = ""
    note: str = ""
