"""Rewards: what a member gets for points, and what is asked of whoever makes one real."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

from stampcard.domain.awards import Charge
from stampcard.domain.value import Value

RewardKind = Literal[
    "amount_off",
    "percent_off",
    "free_shipping",
    "free_product",
    "gift_card",
    "store_credit",
    "cash_out",
    "experience",
    "merchandise",
    "points",
    "choice",
    "custom",
]
#: How a code goes with others: `always` with all but nothing forbids it; `common` with `always` and `common`; `never`
#: with `always` and other `never` ones.
StackGroup = Literal["always", "common", "never"]
RedemptionStatus = Literal["held", "issued", "used", "released", "expired", "revoked"]
#: Statuses after which nothing happens to a redemption any more, but for what refunds of its order do.
ENDED: tuple[RedemptionStatus, ...] = ("used", "released", "expired", "revoked")


#: Before the id of a choice, in the subject of what was picked from it.
CHOICE = "choice:"
#: Kinds of the commands that a fulfilment carries out, with what they ask of a voucher.
ISSUE, WITHDRAW, RESTORE = "reward_issue", "reward_withdraw", "reward_restore"
ACTIONS: Mapping[str, Literal["issue", "withdraw", "restore"]] = {
    ISSUE: "issue",
    WITHDRAW: "withdraw",
    RESTORE: "restore",
}


class Fulfiller(Value, frozen=True):
    """A connection that makes some kinds of reward real for a member, whom it calls `reference`."""

    connection: str
    reference: str
    kinds: frozenset[RewardKind]


class Minted(Value, frozen=True):
    """What makes a redemption one of its kind: its id, and a code that nobody can guess.

    `by` and `batch`: the connection that made the code together with others, and what it calls these.
    """

    id: str
    code: str
    by: str = ""
    batch: str = ""


class Veto(Value, frozen=True):
    """Why a plugin lets a member not have a reward."""

    reason: str


class Voucher(Value, frozen=True):
    """A reward to be made real at a vendor, once.

    `key`: the redemption's, the same for every attempt. `code`: made up by us, unguessable; a vendor that makes codes of
    its own answers them as ``code`` in its result. `reference`: how the vendor calls the member. `amount` is money in
    `currency`; `percent` is out of 100; `at_most` caps what a percentage takes off. `minimum`: what the cart must come
    to. `products` and `collections`: references of what it counts for, nothing for everything. `uses`: how often the
    code works. Without `ends_at` it is valid for good. `batch`: the vendor's name for what `fill` made its code a part of;
    empty for a code of its own.
    """

    key: str
    kind: RewardKind
    title: str
    code: str
    reference: str
    currency: str
    starts_at: datetime
    ends_at: datetime | None = None
    amount: Decimal | None = None
    percent: Decimal | None = None
    at_most: Decimal | None = None
    minimum: Decimal | None = None
    products: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    uses: int = 1
    stack: StackGroup = "common"
    name: str = ""
    batch: str = ""


class Redemption(Value, frozen=True):
    """A reward that one member took or was given, from its hold to its end.

    `by`: who makes it real: a connection's name, also of one that filled the pool with its code; ``own``, ``pool``,
    ``manual``; empty where it is carried out at once.
    `gives`: as the program said it then. `price` in the smallest unit of `wallet`, held or spent under the debit
    `debit_key`; `worth` in ten-thousandths of the program's currency. `due_at`: when it ends by itself: the hold runs out,
    or its validity does. `orders`: the orders that its code was seen on. `subject` and `rule`: the award that gave it.
    `returns`: whether its points go back when it was not used in time. `withdrawn`: its code was switched off at the shop
    because the reward was stopped. `discounts`: order → what it keeps of a percentage's discount, in ten-thousandths of the
    program's currency, where a limit of money counts that.
    """

    id: str
    member: str
    program: str
    version: int
    reward: str
    kind: RewardKind
    gives: str
    by: str
    status: RedemptionStatus
    created_at: datetime
    wallet: str = ""
    price: int = 0
    worth: int = 0
    due_at: datetime | None = None
    valid_until: datetime | None = None
    issued_at: datetime | None = None
    ended_at: datetime | None = None
    voucher: Voucher | None = None
    orders: tuple[str, ...] = ()
    subject: str = ""
    rule: str = ""
    charges: tuple[Charge, ...] = ()
    returns: bool = False
    reason: str = ""
    withdrawn: bool = False
    discounts: Mapping[str, int] = {}

    @property
    def debit_key(self) -> str:
        """What its points are held and spent under."""
        return f"redemption:{self.id}"

    @property
    def is_open(self) -> bool:
        """Whether anything can still happen to it by itself."""
        return self.status in {"held", "issued"}


def code_key(code: str) -> str:
    """A code as it is compared: shops do not mind how it is spelt."""
    return code.strip().upper()
