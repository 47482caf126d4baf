"""Store credit: which mutations give and take it, and how to find out what they did."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from stampcard.plugin import Absent, Done, Lookup, Outcome, Unknown, Voucher
from stampcard_shopify.asking import Field, Made, Step
from stampcard_shopify.client import Answer
from stampcard_shopify.posting import Sending
from stampcard_shopify.ways import SLACK, Action, Way, gid, moment, plain, unfit

_MADE = "storeCreditAccountTransaction { id } userErrors { field message code }"
CREDIT = Field(
    "mutation",
    "storeCreditAccountCredit",
    {"id": "ID!", "creditInput": "StoreCreditAccountCreditInput!"},
    _MADE,
)
DEBIT = Field(
    "mutation", "storeCreditAccountDebit", {"id": "ID!", "debitInput": "StoreCreditAccountDebitInput!"}, _MADE
)
FIND = Field(
    "query",
    "customer",
    {"id": "ID!"},
    """
    storeCreditAccounts(first: 5) { nodes {
      balance { currencyCode }
      transactions(first: 50, reverse: true) { pageInfo { hasNextPage } nodes {
        __typename createdAt event amount { amount }
        ... on StoreCreditAccountCreditTransaction { id expiresAt }
        ... on StoreCreditAccountDebitTransaction { id }
      } }
    } }
    """,
)
_TYPES = {"issue": "StoreCreditAccountCreditTransaction", "withdraw": "StoreCreditAccountDebitTransaction"}


class Amount(Answer, frozen=True):
    amount: Decimal


class Transaction(Answer, frozen=True):
    created_at: datetime
    event: str
    amount: Amount
    kind: str = msgspec.field(name="__typename")
    id: str = ""
    expires_at: datetime | None = None


class PageInfo(Answer, frozen=True):
    has_next_page: bool


class Transactions(Answer, frozen=True):
    page_info: PageInfo
    nodes: tuple[Transaction, ...]


class Balance(Answer, frozen=True):
    currency_code: str


class Account(Answer, frozen=True):
    balance: Balance
    transactions: Transactions


class Accounts(Answer, frozen=True):
    nodes: tuple[Account, ...]


class Holder(Answer, frozen=True):
    store_credit_accounts: Accounts


class StoreCredits(Way[Holder]):
    """Credit on the customer's account, which Shopify gives again as often as it is asked.

    Nothing on a transaction carries a key of ours. What is found is compared by currency, amount, time and the one
    field that we write and can read back: when a credit ends, to the second, which is drawn from the voucher's key.
    Without an end, two vouchers of one amount cannot be told apart, and neither can two debits: a single match counts as
    ours, several leave it unknown.
    """

    sending: Sending = "once"
    shape = Holder
    by_id = False
    at_once = True

    def issuing(self, voucher: Voucher) -> Step | Outcome:
        ends = expiry(voucher)
        value = {"creditAmount": _money(voucher), "expiresAt": None if ends is None else moment(ends)}
        return unfit(voucher) or Step(CREDIT, {"id": gid("Customer", voucher.reference), "creditInput": value})

    def result(self, voucher: Voucher, made: Made) -> dict[str, Any]:  # noqa: ARG002 - there is no code
        node = made.store_credit_account_transaction
        return {"id": node.id} if node else {}

    def finding(self, voucher: Voucher) -> Step:
        return Step(FIND, {"id": gid("Customer", voucher.reference)})

    def withdrawing(self, voucher: Voucher, found: Holder | None) -> Step | Outcome:  # noqa: ARG002 - by the owner's id
        """Take it back if the balance still has it; Shopify refuses otherwise."""
        value = {"debitAmount": _money(voucher)}
        return unfit(voucher) or Step(DEBIT, {"id": gid("Customer", voucher.reference), "debitInput": value})

    def verdict(self, voucher: Voucher, action: Action, found: Holder | None) -> Lookup:
        if action == "restore":
            return Absent()
        if found is None:
            return Unknown(reason="the customer does not exist at Shopify any more")
        pages = _pages(voucher, found)
        matching = [one for page in pages for one in _since(voucher, page) if _is_of(voucher, one, action)]
        if len(matching) == 1:
            return Done(result={"id": matching[0].id})
        if matching or any(_is_cut(voucher, page) for page in pages):
            return Unknown(reason="several transactions of the account could be the one that was asked for")
        return Absent()


def expiry(voucher: Voucher) -> datetime | None:
    """When the credit ends: in the minute of the voucher, at a second that the key tells."""
    second = hashlib.sha256(voucher.key.encode()).digest()[0] % 60
    return None if voucher.ends_at is None else voucher.ends_at.replace(second=second, microsecond=0)


def _money(voucher: Voucher) -> dict[str, str]:
    return {"amount": plain(voucher.amount), "currencyCode": voucher.currency}


def _pages(voucher: Voucher, found: Holder) -> list[Transactions]:
    accounts = found.store_credit_accounts.nodes
    return [account.transactions for account in accounts if account.balance.currency_code == voucher.currency]


def _since(voucher: Voucher, page: Transactions) -> list[Transaction]:
    return [one for one in page.nodes if one.created_at >= voucher.starts_at - SLACK]


def _is_of(voucher: Voucher, transaction: Transaction, action: Action) -> bool:
    """Debits may be told as negative amounts; what an order did is called otherwise than an adjustment."""
    if transaction.kind != _TYPES[action] or transaction.event != "ADJUSTMENT":
        return False
    if abs(transaction.amount.amount) != voucher.amount:
        return False
    return action == "withdraw" or transaction.expires_at == expiry(voucher)


def _is_cut(voucher: Voucher, page: Transactions) -> bool:
    """Whether there are more transactions of that time than were read."""
    return page.page_info.has_next_page and len(_since(voucher, page)) == len(page.nodes)
