"""Store credit of the simulated shop's customers.

Source of the shapes and errors: the Admin GraphQL schema, version 2026-10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import ZERO, Book
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_nodes import connection, customer_node, moment
from stampcard_shopify.simulated_replies import Json, money_of, number_of, payload, user_error

_TRANSACTION = "storeCreditAccountTransaction"
_CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY"})
_FIRST = 1_300_000_000_001
_NO_ACCOUNT = user_error(["id"], "The store credit account could not be found", "ACCOUNT_NOT_FOUND")


@dataclass(frozen=True, slots=True)
class Transaction:
    """Money in, or out as a negative amount; nothing on it tells who asked for it."""

    id: int
    amount: Decimal
    after: Decimal
    at: datetime
    expires_at: datetime | None = None


@dataclass(slots=True)
class Account:
    """What a customer has of one currency."""

    id: int
    customer: int
    currency: str
    transactions: list[Transaction] = field(default_factory=list)

    @property
    def balance(self) -> Decimal:
        return sum((one.amount for one in self.transactions), ZERO)


@dataclass(slots=True)
class Credits:
    """All accounts; each request for money is met as often as it comes."""

    book: Book
    accounts: list[Account] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(_FIRST))

    def credit(self, asked: Asked, now: datetime) -> Json:
        given = asked.argument("creditInput")
        money, ends = given["creditAmount"], given.get("expiresAt")
        until = datetime.fromisoformat(ends) if ends else None
        account, fault = self._account(asked.argument("id"), money, opening=True)
        fault = fault or _credit_fault(money, until, now)
        if account is None or fault is not None:
            return payload(_TRANSACTION, None, [fault] if fault else [])
        return self._entered(account, Decimal(money["amount"]), now, until)

    def debit(self, asked: Asked, now: datetime) -> Json:
        money = asked.argument("debitInput")["debitAmount"]
        account, fault = self._account(asked.argument("id"), money, opening=False)
        fault = fault or _amount_fault("debitInput", "debitAmount", money)
        if account is not None and account.balance < Decimal(money["amount"]):
            message = "The store credit account does not have sufficient funds to satisfy the request"
            fault = user_error(["debitInput", "debitAmount"], message, "INSUFFICIENT_FUNDS")
        if account is None or fault is not None:
            return payload(_TRANSACTION, None, [fault] if fault else [])
        return self._entered(account, -Decimal(money["amount"]), now, None)

    def customer(self, asked: Asked, _now: datetime) -> Json | None:
        """The customer with their accounts; transactions newest first, as whoever asks for `reverse` gets them."""
        found = self.book.customers.get(number_of(asked.argument("id"), "Customer"))
        if found is None:
            return None
        mine = [_account_node(account) for account in self.accounts if account.customer == found.id]
        return customer_node(found) | {"storeCreditAccounts": connection(mine)}

    def balance_of(self, reference: str, currency: str) -> Decimal:
        mine = (one for one in self.accounts if (str(one.customer), one.currency) == (reference, currency))
        return sum((account.balance for account in mine), ZERO)

    def _account(self, given: object, money: Mapping[str, str], *, opening: bool) -> tuple[Account | None, Json | None]:
        """The account that an id of it or of its owner means, or what is wrong."""
        if number := number_of(given, "StoreCreditAccount"):
            found = next((one for one in self.accounts if one.id == number), None)
            return (found, _currency_fault(found, money)) if found else (None, _NO_ACCOUNT)
        owner, currency = number_of(given, "Customer"), money["currencyCode"]
        mine = next((one for one in self.accounts if (one.customer, one.currency) == (owner, currency)), None)
        if mine is not None or not opening:
            return (mine, None) if mine else (None, _NO_ACCOUNT)
        if owner not in self.book.customers:
            return None, user_error(["id"], "Owner does not exist", "OWNER_NOT_FOUND")
        return Account(next(self._numbers), owner, currency), None

    def _entered(self, account: Account, amount: Decimal, now: datetime, until: datetime | None) -> Json:
        if account not in self.accounts:
            self.accounts.append(account)
        entry = Transaction(next(self._numbers), amount, account.balance + amount, now, until)
        account.transactions.append(entry)
        return payload(_TRANSACTION, _node(account, entry))


def _currency_fault(account: Account, money: Mapping[str, str]) -> Json | None:
    if account.currency == money["currencyCode"]:
        return None
    return user_error(["id"], "The currency does not match the account's", "MISMATCHING_CURRENCY")


def _credit_fault(money: Mapping[str, str], until: datetime | None, now: datetime) -> Json | None:
    if money["currencyCode"] not in _CURRENCIES:
        where = ["creditInput", "creditAmount", "currencyCode"]
        return user_error(where, "Currency is not supported", "UNSUPPORTED_CURRENCY")
    if until is not None and until <= now:
        return user_error(["creditInput", "expiresAt"], "The expiry date must be in the future", "EXPIRES_AT_IN_PAST")
    return _amount_fault("creditInput", "creditAmount", money)


def _amount_fault(argument: str, name: str, money: Mapping[str, str]) -> Json | None:
    if Decimal(money["amount"]) > 0:
        return None
    return user_error([argument, name, "amount"], "A positive amount must be used", "NEGATIVE_OR_ZERO_AMOUNT")


def _account_node(account: Account) -> Json:
    return {
        "__typename": "StoreCreditAccount",
        "id": gid("StoreCreditAccount", account.id),
        "balance": money_of(account.balance, account.currency),
        "transactions": connection([_node(account, entry) for entry in reversed(account.transactions)]),
    }


def _node(account: Account, entry: Transaction) -> Json:
    """Of either kind; only a credit ends."""
    shown = {
        "createdAt": moment(entry.at),
        "event": "ADJUSTMENT",
        "amount": money_of(entry.amount, account.currency),
        "balanceAfterTransaction": money_of(entry.after, account.currency),
    }
    if entry.amount < 0:
        kind = "StoreCreditAccountDebitTransaction"
        return {"__typename": kind, "id": gid(kind, entry.id), **shown}
    kind = "StoreCreditAccountCreditTransaction"
    left = {"expiresAt": moment(entry.expires_at), "remainingAmount": shown["amount"]}
    return {"__typename": kind, "id": gid(kind, entry.id), **shown, **left}
