"""The first shape"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("revoked_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_used_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_api_key")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index("uq_api_key_id", ["id"], unique=True)

    op.create_table(
        "award",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("program", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "granted", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "taken", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "written_off",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "revision",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("basis", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("adjustments", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint(
            "taken >= 0 AND written_off >= 0 AND taken + written_off <= granted", name=op.f("ck_award_due_not_negative")
        ),
        sa.PrimaryKeyConstraint("merchant", "subject", "member", "program", "rule", name=op.f("pk_award")),
        sqlite_strict=True,
    )
    op.create_table(
        "balance",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wallet", sa.Text(), autoincrement=False, nullable=False),
        sa.Column(
            "pending", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "active", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "held", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "debt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "issued", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "redeemed",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "expired", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "adjusted",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("entries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("opened", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("booked_to", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("next_change_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "pending + active + held + debt + issued + redeemed + expired + adjusted = 0",
            name=op.f("ck_balance_balanced"),
        ),
        sa.CheckConstraint(
            "pending >= 0 AND active >= 0 AND held >= 0 AND debt <= 0", name=op.f("ck_balance_not_overspent")
        ),
        sa.PrimaryKeyConstraint("merchant", "member", "wallet", name=op.f("pk_balance")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("balance", schema=None) as batch_op:
        batch_op.create_index(
            "ix_balance_due",
            ["merchant", "next_change_at"],
            unique=False,
            sqlite_where=sa.text("next_change_at IS NOT NULL"),
            postgresql_where=sa.text("next_change_at IS NOT NULL"),
        )

    op.create_table(
        "connection_state",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("since", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "connection", name=op.f("pk_connection_state")),
        sqlite_strict=True,
    )
    op.create_table(
        "debit",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("draws", sa.Text(), nullable=False),
        sa.Column(
            "cancelled",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "key", name=op.f("pk_debit")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("debit", schema=None) as batch_op:
        batch_op.create_index("ix_debit_member", ["merchant", "member"], unique=False)

    op.create_table(
        "effect",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "key", name=op.f("pk_effect")),
        sqlite_strict=True,
    )
    op.create_table(
        "entry",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wallet", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("posted_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "pending", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "active", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "held", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "debt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "issued", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "redeemed",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "expired", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "adjusted",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("moves", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("rule", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("note", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint(
            "pending + active + held + debt + issued + redeemed + expired + adjusted = 0",
            name=op.f("ck_entry_balanced"),
        ),
        sa.PrimaryKeyConstraint("merchant", "member", "wallet", "number", name=op.f("pk_entry")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index(
            "uq_entry_award_revision", ["merchant", "member", "wallet", "subject", "rule", "revision"], unique=True
        )

    op.create_table(
        "event",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("connection", sa.Text(), nullable=True),
        sa.Column("delivery", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("occurred_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("applied_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_event")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_member", ["merchant", "member", "id"], unique=False)
        batch_op.create_index("ix_event_subject", ["merchant", "subject", "id"], unique=False)

    op.create_table(
        "fetch",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wanted_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("due_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "attempts",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "connection", "kind", "reference", name=op.f("pk_fetch")),
        sqlite_strict=True,
    )
    op.create_table(
        "idempotency",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "key", "path", name=op.f("pk_idempotency")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_member", ["merchant", "member"], unique=False)

    op.create_table(
        "identity",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "connection", "reference", name=op.f("pk_identity")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.create_index("ix_identity_member", ["merchant", "member"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column(
            "read_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("received_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ready'"), nullable=False),
        sa.Column(
            "attempts",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "next_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("subject_print", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_inbox")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_latest", ["merchant", "connection", "id"], unique=False)
        batch_op.create_index("ix_inbox_member", ["merchant", "member"], unique=False)
        batch_op.create_index(
            "ix_inbox_ready",
            ["merchant", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'ready'"),
            postgresql_where=sa.text("status = 'ready'"),
        )
        batch_op.create_index("ix_inbox_status", ["merchant", "status", "id"], unique=False)
        batch_op.create_index("ix_inbox_subject_print", ["merchant", "subject_print"], unique=False)
        batch_op.create_index("uq_inbox_delivery", ["merchant", "connection", "key", "body_hash"], unique=True)

    op.create_table(
        "lease",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "name", name=op.f("pk_lease")),
        sqlite_strict=True,
    )
    op.create_table(
        "lot",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wallet", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("remaining", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "expired", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "taken", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("active", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("available_from", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("occurred_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column(
            "program_version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("parent", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("remaining + expired + taken <= amount", name=op.f("ck_lot_within_amount")),
        sa.CheckConstraint("remaining >= 0 AND expired >= 0 AND taken >= 0", name=op.f("ck_lot_not_negative")),
        sa.PrimaryKeyConstraint("merchant", "member", "wallet", "number", name=op.f("pk_lot")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("lot", schema=None) as batch_op:
        batch_op.create_index(
            "ix_lot_live",
            ["merchant", "member", "wallet"],
            unique=False,
            sqlite_where=sa.text("remaining > 0"),
            postgresql_where=sa.text("remaining > 0"),
        )
        batch_op.create_index("ix_lot_subject", ["merchant", "subject", "member"], unique=False)

    op.create_table(
        "member",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("joined_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("attributes_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("email_print", sa.Text(), nullable=True),
        sa.Column("phone_print", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_member")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("member", schema=None) as batch_op:
        batch_op.create_index("ix_member_email_print", ["merchant", "email_print"], unique=False)
        batch_op.create_index("ix_member_phone_print", ["merchant", "phone_print"], unique=False)

    op.create_table(
        "membership",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("program", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("joined_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "member", "program", name=op.f("pk_membership")),
        sqlite_strict=True,
    )
    op.create_table(
        "order_state",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pins", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("pinned_member_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("undecided", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "source", "reference", name=op.f("pk_order_state")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("order_state", schema=None) as batch_op:
        batch_op.create_index("ix_order_state_member", ["merchant", "member"], unique=False)
        batch_op.create_index(
            "ix_order_state_undecided",
            ["merchant", "source"],
            unique=False,
            sqlite_where=sa.text("undecided <> '[]'"),
            postgresql_where=sa.text("undecided <> '[]'"),
        )

    op.create_table(
        "outbox",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("data_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'ready'"), nullable=False),
        sa.Column(
            "attempts",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("due_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempted_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "id", name=op.f("pk_outbox")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due",
            ["merchant", "connection", "kind", "due_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('ready', 'attempting', 'unknown')"),
            postgresql_where=sa.text("status IN ('ready', 'attempting', 'unknown')"),
        )
        batch_op.create_index("ix_outbox_member", ["merchant", "member"], unique=False)
        batch_op.create_index("uq_outbox_key", ["merchant", "connection", "key"], unique=True)

    op.create_table(
        "program_version",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("program", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("valid_from", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "program", "number", name=op.f("pk_program_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "push",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("member", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("wanted", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "sent", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("due_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "attempts",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "dead", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default=sa.text("0"), nullable=False
        ),
        sa.PrimaryKeyConstraint("merchant", "connection", "kind", "member", name=op.f("pk_push")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("push", schema=None) as batch_op:
        batch_op.create_index(
            "ix_push_due",
            ["merchant", "connection", "kind", "due_at"],
            unique=False,
            sqlite_where=sa.text("wanted > sent AND dead = 0"),
            postgresql_where=sa.text("wanted > sent AND dead = 0"),
        )

    op.create_table(
        "revision",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", name=op.f("pk_revision")),
        sqlite_strict=True,
    )
    op.create_table(
        "store",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "connection", "key", name=op.f("pk_store")),
        sqlite_strict=True,
    )
    op.create_table(
        "tombstone",
        sa.Column("merchant", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("print", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("erased_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("merchant", "print", name=op.f("pk_tombstone")),
        sqlite_strict=True,
    )
