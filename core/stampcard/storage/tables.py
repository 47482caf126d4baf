"""Every table. Every key starts with the merchant; moments are microseconds since 1970 in UTC; JSON is text.

A column that ends in ``_sealed`` holds personal data, encrypted.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

from stampcard.domain.ledger import ACCOUNTS

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_BIG = BigInteger().with_variant(Integer(), "sqlite")
_TEXT = Text()
_BLOB = LargeBinary()
_ACCOUNT_SUM = " + ".join(ACCOUNTS) + " = 0"


def _key(name: str, kind: TypeEngine[Any] = _TEXT) -> Column[Any]:
    return Column(name, kind, primary_key=True, nullable=False, autoincrement=False)


def _col(name: str, kind: TypeEngine[Any] = _TEXT, *, default: str | int | None = None) -> Column[Any]:
    server_default = None if default is None else text(str(default) if isinstance(default, int) else f"'{default}'")
    return Column(name, kind, nullable=False, server_default=server_default)


def _maybe(name: str, kind: TypeEngine[Any] = _TEXT) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _accounts() -> list[Column[Any]]:
    return [_col(account, _BIG, default=0) for account in ACCOUNTS]


def _where_known(name: str, column: str) -> Index:
    """An index of the rows that have this column: taking in a row that has none writes nothing to it."""
    known = text(f"{column} IS NOT NULL")
    return Index(name, "merchant", column, sqlite_where=known, postgresql_where=known)


def _table(name: str, *parts: Column[Any] | CheckConstraint | Index) -> Table:
    return Table(name, metadata, _key("merchant"), *parts, sqlite_strict=True)


inbox = _table(
    "inbox",
    _key("id", _BIG),
    _col("connection"),
    _col("key"),
    _col("body_hash"),
    _col("topic"),
    _col("headers", default="{}"),
    _maybe("body_sealed", _BLOB),
    _col("read_at", _BIG, default=0),
    _col("received_at", _BIG),
    _col("status", default="ready"),  # ready | done | quarantined | dropped
    _col("attempts", _BIG, default=0),
    _col("next_at", _BIG, default=0),
    _maybe("claimed_by"),
    _maybe("claimed_until", _BIG),
    _maybe("member"),
    _maybe("subject_print"),
    _maybe("code"),
    _maybe("detail"),
    _maybe("settled_at", _BIG),
    Index("uq_inbox_delivery", "merchant", "connection", "key", "body_hash", unique=True),
    _where_known("ix_inbox_member", "member"),
    _where_known("ix_inbox_subject_print", "subject_print"),
    Index("ix_inbox_latest", "merchant", "connection", "id"),
    Index("ix_inbox_status", "merchant", "status", "id"),
)

member = _table(
    "member",
    _key("id"),
    _col("joined_at", _BIG),
    _col("version", _BIG, default=0),
    _maybe("attributes_sealed", _BLOB),
    _maybe("email_print"),
    _maybe("phone_print"),
    _maybe("erased_at", _BIG),
    _maybe("birthday_print"),
    Index("ix_member_email_print", "merchant", "email_print"),
    Index("ix_member_phone_print", "merchant", "phone_print"),
    Index(
        "ix_member_birthday_print",
        "merchant",
        "birthday_print",
        "id",
        sqlite_where=text("birthday_print IS NOT NULL"),
        postgresql_where=text("birthday_print IS NOT NULL"),
    ),
)

identity = _table(
    "identity",
    _key("connection"),
    _key("reference"),
    _col("member"),
    _maybe("seen_at", _BIG),
    Index("ix_identity_member", "merchant", "member"),
)

membership = _table(
    "membership",
    _key("member"),
    _key("program"),
    _col("joined_at", _BIG),
    _col("anniversary", default=""),  # month and day of joining, in the program's zone
    Index("ix_membership_anniversary", "merchant", "program", "anniversary", "member"),
)

tombstone = _table("tombstone", _key("print"), _col("erased_at", _BIG))

order_state = _table(
    "order_state",
    _key("source"),
    _key("reference"),
    _maybe("member"),
    _col("first_seen_at", _BIG),
    _col("updated_at", _BIG),
    _col("state"),
    _col("pins", default="{}"),
    _maybe("pinned_member_sealed", _BLOB),
    _col("undecided", default="[]"),
    _col("occurred_at", _BIG, default=0),
    _col("spend", _BIG, default=0),  # in ten-thousandths of `currency`
    _col("currency", default=""),
    Index("ix_order_state_member", "merchant", "member", "occurred_at"),
    Index(
        "ix_order_state_undecided",
        "merchant",
        "source",
        sqlite_where=text("undecided <> '[]'"),
        postgresql_where=text("undecided <> '[]'"),
    ),
)

award = _table(
    "award",
    _key("subject"),
    _key("member"),
    _key("program"),
    _key("rule"),
    _col("wallet"),
    _col("granted", _BIG, default=0),
    _col("taken", _BIG, default=0),
    _col("written_off", _BIG, default=0),
    _col("revision", _BIG, default=0),
    _col("basis", default=""),
    _col("adjustments", default="[]"),
    _col("desired", _BIG, default=0),
    _maybe("allowed", _BIG),
    _col("cooling", _BIG, default=0),
    _col("charges", default="[]"),
    CheckConstraint("taken >= 0 AND written_off >= 0 AND taken + written_off <= granted", name="due_not_negative"),
)

entry = _table(
    "entry",
    _key("member"),
    _key("wallet"),
    _key("number", _BIG),
    _col("kind"),
    _col("occurred_at", _BIG),
    _col("posted_at", _BIG),
    *_accounts(),
    _col("moves", default="[]"),
    _col("subject", default=""),
    _col("rule", default=""),
    _maybe("revision", _BIG),
    _col("note", default=""),
    CheckConstraint(_ACCOUNT_SUM, name="balanced"),
    Index("uq_entry_award_revision", "merchant", "member", "wallet", "subject", "rule", "revision", unique=True),
)

lot = _table(
    "lot",
    _key("member"),
    _key("wallet"),
    _key("number", _BIG),
    _col("amount", _BIG),
    _col("remaining", _BIG),
    _col("expired", _BIG, default=0),
    _col("taken", _BIG, default=0),
    _col("active", _BIG),
    _col("available_from", _BIG),
    _maybe("expires_at", _BIG),
    _col("occurred_at", _BIG),
    _col("subject"),
    _col("rule", default=""),
    _col("program_version", _BIG, default=0),
    _maybe("parent", _BIG),
    _col("waits_for", default=""),
    _col("slides", _BIG, default=0),
    CheckConstraint("remaining >= 0 AND expired >= 0 AND taken >= 0", name="not_negative"),
    CheckConstraint("remaining + expired + taken <= amount", name="within_amount"),
    Index(
        "ix_lot_live",
        "merchant",
        "member",
        "wallet",
        sqlite_where=text("remaining > 0"),
        postgresql_where=text("remaining > 0"),
    ),
    Index("ix_lot_subject", "merchant", "subject", "member"),
)

balance = _table(
    "balance",
    _key("member"),
    _key("wallet"),
    *_accounts(),
    _col("entries", _BIG),
    _col("opened", _BIG),
    _col("booked_to", _BIG),
    _maybe("next_change_at", _BIG),
    CheckConstraint(_ACCOUNT_SUM, name="balanced"),
    CheckConstraint("pending >= 0 AND active >= 0 AND held >= 0 AND debt <= 0", name="not_overspent"),
    Index(
        "ix_balance_due",
        "merchant",
        "next_change_at",
        sqlite_where=text("next_change_at IS NOT NULL"),
        postgresql_where=text("next_change_at IS NOT NULL"),
    ),
)

debit = _table(
    "debit",
    _key("key"),
    _col("member"),
    _col("wallet"),
    _col("amount", _BIG),
    _col("draws"),
    _col("cancelled", _BIG, default=0),
    _col("created_at", _BIG),
    _col("subject", default=""),
    _col("returned", _BIG, default=0),
    _col("money", _BIG, default=0),  # in ten-thousandths of the program's currency
    Index("ix_debit_member", "merchant", "member"),
    Index(
        "ix_debit_subject",
        "merchant",
        "subject",
        sqlite_where=text("subject <> ''"),
        postgresql_where=text("subject <> ''"),
    ),
)

redemption = _table(
    "redemption",
    _key("id"),
    _col("member"),
    _col("program"),
    _col("version", _BIG),
    _col("reward"),
    _col("kind"),
    _col("gives"),
    _col("by"),
    _col("status"),  # held | issued | used | released | expired | revoked
    _col("wallet", default=""),
    _col("price", _BIG, default=0),
    _col("worth", _BIG, default=0),  # in ten-thousandths of the program's currency
    _col("created_at", _BIG),
    _maybe("due_at", _BIG),
    _maybe("valid_until", _BIG),
    _maybe("issued_at", _BIG),
    _maybe("ended_at", _BIG),
    _maybe("code_print"),
    _maybe("voucher_sealed", _BLOB),
    _col("orders", default="[]"),
    _col("subject", default=""),
    _col("rule", default=""),
    _col("charges", default="[]"),
    _col("returns", _BIG, default=0),
    _col("reason", default=""),
    _col("withdrawn", _BIG, default=0),
    CheckConstraint("price >= 0", name="price_not_negative"),
    Index("ix_redemption_member", "merchant", "member", "created_at"),
    Index("ix_redemption_reward", "merchant", "program", "reward", "status", "id"),
    Index(
        "uq_redemption_code_print",
        "merchant",
        "code_print",
        unique=True,
        sqlite_where=text("code_print IS NOT NULL"),
        postgresql_where=text("code_print IS NOT NULL"),
    ),
    _where_known("ix_redemption_due_at", "due_at"),
    Index(
        "ix_redemption_subject",
        "merchant",
        "subject",
        sqlite_where=text("subject <> ''"),
        postgresql_where=text("subject <> ''"),
    ),
)

pool = _table(
    "pool",
    _key("program"),
    _key("reward"),
    _key("code_print"),
    _col("code_sealed", _BLOB),
    _col("added_at", _BIG),
    _maybe("redemption"),
    Index(
        "ix_pool_free",
        "merchant",
        "program",
        "reward",
        "code_print",
        sqlite_where=text("redemption IS NULL"),
        postgresql_where=text("redemption IS NULL"),
    ),
)

counter = _table(
    "counter", _key("program"), _key("member"), _key("scope"), _key("period"), _col("value", _BIG, default=0)
)

switch = _table("switch", _key("target"), _col("note", default=""), _col("author", default=""), _col("since", _BIG))

job = _table(
    "job",
    _key("name"),
    _col("data", default="{}"),
    _col("place", default=""),
    _col("done", _BIG, default=0),
    _col("total", _BIG, default=0),
    _col("started_at", _BIG),
    _maybe("ended_at", _BIG),
)

effect = _table("effect", _key("key"), _col("body_hash"), _col("created_at", _BIG))

event = _table(
    "event",
    _key("id", _BIG),
    _col("kind"),
    _col("subject"),
    _maybe("member"),
    _maybe("connection"),
    _maybe("delivery", _BIG),
    _col("occurred_at", _BIG),
    _col("applied_at", _BIG),
    _col("body"),
    _col("reasons", default="[]"),
    Index("ix_event_subject", "merchant", "subject", "id"),
    Index("ix_event_member", "merchant", "member", "id"),
)

push = _table(
    "push",
    _key("connection"),
    _key("kind"),
    _key("member"),
    _col("wanted", _BIG),
    _col("sent", _BIG, default=0),
    _col("since", _BIG, default=0),  # when it began to wait
    _col("due_at", _BIG),
    _col("attempts", _BIG, default=0),
    _maybe("error"),
    _col("dead", _BIG, default=0),
    Index(
        "ix_push_due",
        "merchant",
        "connection",
        "kind",
        "due_at",
        sqlite_where=text("wanted > sent AND dead = 0"),
        postgresql_where=text("wanted > sent AND dead = 0"),
    ),
)

outbox = _table(
    "outbox",
    _key("id", _BIG),
    _col("connection"),
    _col("kind"),
    _col("key"),
    _col("member"),
    _col("reference"),
    _maybe("data_sealed", _BLOB),
    _col("status", default="ready"),  # ready | attempting | unknown | done | dead | dropped
    _col("attempts", _BIG, default=0),
    _col("due_at", _BIG),
    _maybe("attempted_at", _BIG),
    _maybe("error"),
    _maybe("result_sealed", _BLOB),
    _col("created_at", _BIG),
    Index("uq_outbox_key", "merchant", "connection", "key", unique=True),
    Index(
        "ix_outbox_due",
        "merchant",
        "connection",
        "kind",
        "due_at",
        sqlite_where=text("status IN ('ready', 'attempting', 'unknown')"),
        postgresql_where=text("status IN ('ready', 'attempting', 'unknown')"),
    ),
    Index("ix_outbox_member", "merchant", "member"),
)

fetch = _table(
    "fetch",
    _key("connection"),
    _key("kind"),
    _key("reference"),
    _col("wanted_at", _BIG),
    _col("due_at", _BIG),
    _col("attempts", _BIG, default=0),
    _maybe("error"),
)

lease = _table("lease", _key("name"), _col("owner"), _col("token", _BIG), _col("until", _BIG))

program_version = _table(
    "program_version",
    _key("program"),
    _key("number", _BIG),
    _col("valid_from", _BIG),
    _col("source"),
    _col("author", default=""),
    _col("note", default=""),
    _col("created_at", _BIG),
)

revision = _table("revision", _col("number", _BIG))

connection_state = _table(
    "connection_state",
    _key("connection"),
    _col("state", default="active"),  # active | paused | ended
    _col("reason", default=""),
    _col("since", _BIG),
)

store = _table("store", _key("connection"), _key("key"), _col("value_sealed", _BLOB))

api_key = _table(
    "api_key",
    _key("id"),
    _col("name"),
    _col("secret_hash"),
    _col("scopes"),
    _col("created_at", _BIG),
    _maybe("expires_at", _BIG),
    _maybe("revoked_at", _BIG),
    _maybe("last_used_at", _BIG),
    Index("uq_api_key_id", "id", unique=True),
)

idempotency = _table(
    "idempotency",
    _key("key"),
    _key("path"),
    _col("body_hash"),
    _col("status", _BIG),
    _maybe("answer_sealed", _BLOB),
    _maybe("member"),
    _col("created_at", _BIG),
    Index("ix_idempotency_member", "merchant", "member"),
)
