"""Every table. Every key starts with the merchant; moments are microseconds since 1970 in UTC; JSON is text.

A column that ends in ``_sealed`` holds personal data, encrypted.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, text

from stampcard.storage.columns import (
    ACCOUNT_SUM,
    BIG,
    BLOB,
    accounts,
    col,
    key,
    maybe,
    metadata,
    one_of_those,
    table,
    where_known,
)

__all__ = ["metadata"]

inbox = table(
    "inbox",
    key("id", BIG),
    col("connection"),
    col("key"),
    col("body_hash"),
    col("topic"),
    col("headers", default="{}"),
    maybe("body_sealed", BLOB),
    col("read_at", BIG, default=0),
    col("received_at", BIG),
    col("status", default="ready"),  # ready | done | quarantined | dropped
    col("attempts", BIG, default=0),
    col("next_at", BIG, default=0),
    maybe("claimed_by"),
    maybe("claimed_until", BIG),
    maybe("member"),
    maybe("subject_print"),
    maybe("code"),
    maybe("detail"),
    maybe("settled_at", BIG),
    col("past", BIG, default=0),  # 1: brought by a backfill
    Index("uq_inbox_delivery", "merchant", "connection", "key", "body_hash", unique=True),
    where_known("ix_inbox_member", "member"),
    where_known("ix_inbox_subject_print", "subject_print"),
    Index("ix_inbox_latest", "merchant", "connection", "id"),
    Index("ix_inbox_status", "merchant", "status", "id"),
)

member = table(
    "member",
    key("id"),
    col("joined_at", BIG),
    col("version", BIG, default=0),
    maybe("attributes_sealed", BLOB),
    maybe("email_print"),
    maybe("phone_print"),
    maybe("erased_at", BIG),
    maybe("birthday_print"),
    maybe("held_at", BIG),
    maybe("held_for"),
    maybe("merged_into"),  # another member, who has all of this one's
    col("attributes_at", default="{}"),  # when each attribute last changed, in microseconds
    where_known("ix_member_held_at", "held_at"),
    where_known("ix_member_merged_into", "merged_into"),
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

identity = table(
    "identity",
    key("connection"),
    key("reference"),
    col("member"),
    maybe("seen_at", BIG),
    Index("ix_identity_member", "merchant", "member"),
)

#: How a source's customer can be reached, as far as the source verified it; two with the same may be one person.
address = table(
    "address",
    key("connection"),
    key("reference"),
    key("kind"),  # email | phone
    col("print"),
    col("member"),
    maybe("unchecked_since", BIG),
    Index("ix_address_print", "merchant", "kind", "print"),
    Index("ix_address_member", "merchant", "member"),
    where_known("ix_address_unchecked_since", "unchecked_since"),
)

#: A person as a CRM knows them. `fields`: of each of their fields what both sides showed when they last agreed, as digests.
contact = table(
    "contact",
    key("connection"),
    key("reference"),
    maybe("member"),
    col("state"),  # linked | doubtful | skipped | gone
    col("why", default=""),
    col("changed_at", BIG, default=0),  # by the CRM's clock
    col("content", default=""),  # a digest of all that was read
    col("fields", default="{}"),
    col("pending", BIG, default=0),  # 1: something of ours is to be written, whatever changed here
    col("made", default=""),  # there | here: which side was made for the other
    col("seen_in", default=""),  # the last look at everybody that found it
    col("at", BIG),
    Index("ix_contact_member", "merchant", "member", "connection"),
    Index("ix_contact_state", "merchant", "connection", "state", "reference"),
    Index("ix_contact_counted", "merchant", "connection", "state", "why", "made"),
)

#: Whom a contact may be that is not linked.
contact_candidate = table(
    "contact_candidate",
    key("connection"),
    key("reference"),
    key("member"),
    Index("ix_contact_candidate_member", "merchant", "member", "connection"),
)

#: Both sides of a field that said different things, and whose counted.
contact_conflict = table(
    "contact_conflict",
    key("id", BIG),
    col("connection"),
    col("reference"),
    col("member"),
    col("field"),
    col("rule"),
    col("kept"),  # ours | theirs | neither
    col("at", BIG),
    maybe("sides_sealed", BLOB),
    Index("ix_contact_conflict_connection", "merchant", "connection", "id"),
    Index("ix_contact_conflict_field", "merchant", "connection", "reference", "field", "id"),
    Index("ix_contact_conflict_member", "merchant", "member", "id"),
)

#: Who is in those of a CRM's lists that mean something here.
contact_list = table(
    "contact_list",
    key("connection"),
    key("list"),
    key("reference"),
    Index("ix_contact_list_reference", "merchant", "connection", "reference"),
)

#: Two members, the lower id first, who may be one person.
duplicate = table(
    "duplicate",
    key("first"),
    key("second"),
    col("kind"),
    col("state"),  # doubtful | apart
    col("reason", default=""),
    col("found_at", BIG),
    Index("ix_duplicate_found_at", "merchant", "state", "found_at", "first", "second"),
    Index("ix_duplicate_second", "merchant", "second"),
)

membership = table(
    "membership",
    key("member"),
    key("program"),
    col("joined_at", BIG),
    col("anniversary", default=""),  # month and day of joining, in the program's zone
    col("state", default="active"),  # active | unconfirmed | frozen | closed | left
    Index("ix_membership_anniversary", "merchant", "program", "anniversary", "member"),
    Index("ix_membership_joined_at", "merchant", "program", "joined_at", "member"),
)

consent = table(
    "consent",
    key("id", BIG),
    col("member"),
    col("channel"),
    col("purpose"),
    col("state"),  # given | pending | refused | withdrawn
    col("at", BIG),
    col("recorded_at", BIG),
    maybe("evidence_sealed", BLOB),
    Index("ix_consent_member", "merchant", "member", "id"),
)

#: `state`: the whole tier, of which the others are columns to look for.
tier = table(
    "tier",
    key("member"),
    key("program"),
    col("name"),
    col("since", BIG),
    maybe("until", BIG),
    maybe("next_at", BIG),
    col("state"),
    where_known("ix_tier_next_at", "next_at"),
    Index("ix_tier_name", "merchant", "program", "name", "member"),
    Index(
        "ix_tier_until",
        "merchant",
        "program",
        "until",
        "member",
        sqlite_where=text("until IS NOT NULL"),
        postgresql_where=text("until IS NOT NULL"),
    ),
)

#: What counts towards tiers: points in the wallet's smallest unit, money in ten-thousandths, orders.
progress = table("progress", key("member"), key("program"), key("measure"), key("day"), col("amount", BIG))

segment_member = table(
    "segment_member",
    key("member"),
    key("program"),
    key("segment"),
    col("since", BIG),
    Index("ix_segment_member_segment", "merchant", "program", "segment", "member"),
)

#: Which hash of whom may be in which audience of an advertiser; kept until it is surely out again.
audience_member = table(
    "audience_member",
    key("connection"),
    key("member"),
    key("audience"),
    key("kind"),
    key("print"),
    col("sure", BIG, default=0),  # 1: it was taken, and nothing was asked for since
    col("hash_sealed", BLOB),
    Index("ix_audience_member_member", "merchant", "member", "connection"),
    Index("ix_audience_member_print", "merchant", "connection", "audience", "kind", "print"),
)

#: `data_sealed`: what was done, as long as it can be undone.
merge = table(
    "merge",
    key("id"),
    col("source"),
    col("target"),
    col("at", BIG),
    col("by", default=""),
    col("note", default=""),
    maybe("undone_at", BIG),
    col("undone_by", default=""),
    maybe("data_sealed", BLOB),
    Index("ix_merge_at", "merchant", "at", "id"),
    Index("ix_merge_source", "merchant", "source"),
    Index("ix_merge_target", "merchant", "target"),
)

perk = table(
    "perk",
    key("member"),
    key("program"),
    key("name"),
    col("has", BIG, default=0),
    maybe("next_at", BIG),
    col("state"),
    Index(
        "ix_perk_next_at",
        "merchant",
        "next_at",
        "member",
        "name",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    Index("ix_perk_name", "merchant", "program", "name", "has", "member"),
)

perk_use = table(
    "perk_use",
    key("member"),
    key("program"),
    key("name"),
    key("key"),
    col("used_at", BIG),
    maybe("cancelled_at", BIG),
    col("source", default=""),
    col("note", default=""),
)

plan_term = table("plan_term", key("member"), key("program"), key("plan"), key("key"), col("at", BIG), col("state"))

plan = table(
    "plan",
    key("member"),
    key("program"),
    key("name"),
    col("active", BIG, default=0),
    maybe("next_at", BIG),
    col("state"),
    Index(
        "ix_plan_next_at",
        "merchant",
        "next_at",
        "member",
        "name",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    Index("ix_plan_name", "merchant", "program", "name", "active", "member"),
)

proof = table(
    "proof",
    key("member"),
    key("program"),
    key("name"),
    col("verified", BIG, default=0),
    maybe("next_at", BIG),
    col("state"),
    where_known("ix_proof_next_at", "next_at"),
    Index("ix_proof_name", "merchant", "program", "name", "verified", "member"),
)

proof_request = table(
    "proof_request",
    key("id"),
    col("member"),
    col("program"),
    col("name"),
    col("status", default="open"),  # open | approved | refused | withdrawn
    col("asked_at", BIG),
    maybe("decided_at", BIG),
    col("decided_by", default=""),
    col("reason", default=""),
    col("note", default=""),
    maybe("evidence_sealed", BLOB),
    Index("ix_proof_request_status", "merchant", "status", "asked_at", "id"),
    Index("ix_proof_request_member", "merchant", "member", "asked_at"),
)

data_request = table(
    "data_request",
    key("connection"),
    key("request"),
    maybe("member"),
    col("asked_at", BIG),
    maybe("answered_at", BIG),
    col("answered_by", default=""),
    col("note", default=""),
    Index("ix_data_request_asked_at", "merchant", "asked_at", "connection", "request"),
)

#: In ten-thousandths of the program's currency.
base_use = table(
    "base_use",
    key("member"),
    key("program"),
    key("reward"),
    key("subject"),
    col("at", BIG),
    col("whole", BIG),
    col("allowed", BIG),
    col("kept", BIG),
)

tombstone = table("tombstone", key("print"), col("erased_at", BIG))

order_state = table(
    "order_state",
    key("source"),
    key("reference"),
    maybe("member"),
    col("first_seen_at", BIG),
    col("updated_at", BIG),
    col("state"),
    col("pins", default="{}"),
    maybe("pinned_member_sealed", BLOB),
    col("undecided", default="[]"),
    col("occurred_at", BIG, default=0),
    col("spend", BIG, default=0),  # in ten-thousandths of `currency`
    col("currency", default=""),
    Index("ix_order_state_member", "merchant", "member", "occurred_at", "spend", "currency", "source", "reference"),
    Index(
        "ix_order_state_occurred_at",
        "merchant",
        "occurred_at",
        "source",
        "reference",
        sqlite_where=text("currency <> '' AND member IS NOT NULL"),
        postgresql_where=text("currency <> '' AND member IS NOT NULL"),
    ),
    Index(
        "ix_order_state_undecided",
        "merchant",
        "source",
        sqlite_where=text("undecided <> '[]'"),
        postgresql_where=text("undecided <> '[]'"),
    ),
)

award = table(
    "award",
    key("subject"),
    key("member"),
    key("program"),
    key("rule"),
    col("wallet"),
    col("granted", BIG, default=0),
    col("taken", BIG, default=0),
    col("written_off", BIG, default=0),
    col("revision", BIG, default=0),
    col("basis", default=""),
    col("adjustments", default="[]"),
    col("desired", BIG, default=0),
    maybe("allowed", BIG),
    col("cooling", BIG, default=0),
    col("charges", default="[]"),
    CheckConstraint("taken >= 0 AND written_off >= 0 AND taken + written_off <= granted", name="due_not_negative"),
)

entry = table(
    "entry",
    key("member"),
    key("wallet"),
    key("number", BIG),
    col("kind"),
    col("occurred_at", BIG),
    col("posted_at", BIG),
    *accounts(),
    col("moves", default="[]"),
    col("subject", default=""),
    col("rule", default=""),
    maybe("revision", BIG),
    col("note", default=""),
    CheckConstraint(ACCOUNT_SUM, name="balanced"),
    Index("uq_entry_award_revision", "merchant", "member", "wallet", "subject", "rule", "revision", unique=True),
    Index("ix_entry_posted_at", "merchant", "posted_at"),
)

lot = table(
    "lot",
    key("member"),
    key("wallet"),
    key("number", BIG),
    col("amount", BIG),
    col("remaining", BIG),
    col("expired", BIG, default=0),
    col("taken", BIG, default=0),
    col("active", BIG),
    col("available_from", BIG),
    maybe("expires_at", BIG),
    col("occurred_at", BIG),
    col("subject"),
    col("rule", default=""),
    col("program_version", BIG, default=0),
    maybe("parent", BIG),
    col("waits_for", default=""),
    col("slides", BIG, default=0),
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
    Index(
        "ix_lot_expires_at",
        "merchant",
        "wallet",
        "expires_at",
        "member",
        sqlite_where=text("remaining > 0 AND expires_at IS NOT NULL"),
        postgresql_where=text("remaining > 0 AND expires_at IS NOT NULL"),
    ),
)

balance = table(
    "balance",
    key("member"),
    key("wallet"),
    *accounts(),
    col("entries", BIG),
    col("opened", BIG),
    col("booked_to", BIG),
    maybe("next_change_at", BIG),
    CheckConstraint(ACCOUNT_SUM, name="balanced"),
    CheckConstraint("pending >= 0 AND active >= 0 AND held >= 0 AND debt <= 0", name="not_overspent"),
    Index(
        "ix_balance_due",
        "merchant",
        "next_change_at",
        sqlite_where=text("next_change_at IS NOT NULL"),
        postgresql_where=text("next_change_at IS NOT NULL"),
    ),
)

debit = table(
    "debit",
    key("key"),
    col("member"),
    col("wallet"),
    col("amount", BIG),
    col("draws"),
    col("cancelled", BIG, default=0),
    col("created_at", BIG),
    col("subject", default=""),
    col("returned", BIG, default=0),
    col("money", BIG, default=0),  # in ten-thousandths of the program's currency
    Index("ix_debit_member", "merchant", "member"),
    Index(
        "ix_debit_subject",
        "merchant",
        "subject",
        sqlite_where=text("subject <> ''"),
        postgresql_where=text("subject <> ''"),
    ),
)

redemption = table(
    "redemption",
    key("id"),
    col("member"),
    col("program"),
    col("version", BIG),
    col("reward"),
    col("kind"),
    col("gives"),
    col("by"),
    col("status"),  # held | issued | used | released | expired | revoked
    col("wallet", default=""),
    col("price", BIG, default=0),
    col("worth", BIG, default=0),  # in ten-thousandths of the program's currency
    col("created_at", BIG),
    maybe("due_at", BIG),
    maybe("valid_until", BIG),
    maybe("issued_at", BIG),
    maybe("ended_at", BIG),
    maybe("code_print"),
    maybe("voucher_sealed", BLOB),
    col("orders", default="[]"),
    col("subject", default=""),
    col("rule", default=""),
    col("charges", default="[]"),
    col("returns", BIG, default=0),
    col("reason", default=""),
    col("withdrawn", BIG, default=0),
    col("discounts", default="{}"),
    CheckConstraint("price >= 0", name="price_not_negative"),
    Index("ix_redemption_member", "merchant", "member", "created_at", "id"),
    Index("ix_redemption_created_at", "merchant", "created_at", "id"),
    Index("ix_redemption_reward", "merchant", "program", "reward", "status", "id"),
    Index(
        "uq_redemption_code_print",
        "merchant",
        "code_print",
        unique=True,
        sqlite_where=text("code_print IS NOT NULL"),
        postgresql_where=text("code_print IS NOT NULL"),
    ),
    Index(
        "ix_redemption_due_at",
        "merchant",
        "due_at",
        "id",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "ix_redemption_subject",
        "merchant",
        "subject",
        sqlite_where=text("subject <> ''"),
        postgresql_where=text("subject <> ''"),
    ),
)

pool = table(
    "pool",
    key("program"),
    key("reward"),
    key("code_print"),
    col("code_sealed", BLOB),
    col("added_at", BIG),
    maybe("redemption"),
    col("connection", default=""),  # that made it, and its vendor's name for all that it made at once
    col("batch", default=""),
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

counter = table("counter", key("program"), key("member"), key("scope"), key("period"), col("value", BIG, default=0))

switch = table("switch", key("target"), col("note", default=""), col("author", default=""), col("since", BIG))

job = table(
    "job",
    key("name"),
    col("data", default="{}"),
    col("place", default=""),
    col("done", BIG, default=0),
    col("total", BIG, default=0),
    col("started_at", BIG),
    maybe("ended_at", BIG),
)

#: One file that was imported, or is being. `place`: the record of the file, then the member, that all is done up to.
intake = table(
    "intake",
    key("id"),
    col("file"),
    col("fingerprint"),  # of the file's content
    col("program"),
    col("connection"),
    col("options", default="{}"),
    col("state"),  # reading | sending | ended | undoing | undone
    col("place", default=""),
    col("total", BIG),
    col("applied", BIG, default=0),
    col("known", BIG, default=0),
    col("refused", BIG, default=0),
    col("members", BIG, default=0),
    col("error_bytes", BIG, default=0),
    col("started_at", BIG),
    maybe("ended_at", BIG),
    maybe("undone_at", BIG),
    Index("ix_intake_fingerprint", "merchant", "fingerprint"),
)

#: What each row of a file came to. `seen_in`: the last file that had it; `kept`: what an undo left of the points.
imported = table(
    "imported",
    key("print"),
    key("nth", BIG),
    col("intake"),
    col("seen_in"),
    col("line", BIG),
    col("member"),
    col("kind"),  # member | lot | tier | history | referral
    col("state", default="applied"),  # applied | undone
    col("created", BIG, default=0),
    col("wallet", default=""),
    col("points", BIG, default=0),
    maybe("lot", BIG),
    col("kept", BIG, default=0),
    col("tier", default=""),
    maybe("until", BIG),
    maybe("at", BIG),
    col("note", default=""),
    maybe("referral_sealed", BLOB),
    Index("ix_imported_intake", "merchant", "intake", "member", "line"),
    Index("ix_imported_member", "merchant", "member"),
)

#: Rows of a file that changed nothing, and why; what stood in them is in the file of errors.
unimported = table("unimported", key("intake"), key("line", BIG), col("code"))

effect = table("effect", key("key"), col("body_hash"), col("created_at", BIG))

event = table(
    "event",
    key("id", BIG),
    col("kind"),
    col("subject"),
    maybe("member"),
    maybe("connection"),
    maybe("delivery", BIG),
    col("occurred_at", BIG),
    col("applied_at", BIG),
    col("body"),
    col("reasons", default="[]"),
    Index("ix_event_subject", "merchant", "subject", "id"),
    Index("ix_event_member", "merchant", "member", "id"),
)

push = table(
    "push",
    key("connection"),
    key("kind"),
    key("member"),
    col("wanted", BIG),
    col("sent", BIG, default=0),
    col("since", BIG, default=0),  # when it began to wait
    col("due_at", BIG),
    col("attempts", BIG, default=0),
    maybe("error"),
    col("dead", BIG, default=0),
    Index(
        "ix_push_due",
        "merchant",
        "connection",
        "kind",
        "due_at",
        sqlite_where=text("wanted > sent AND dead = 0"),
        postgresql_where=text("wanted > sent AND dead = 0"),
    ),
    Index(
        "ix_push_dead",
        "merchant",
        "connection",
        "kind",
        sqlite_where=text("dead = 1"),
        postgresql_where=text("dead = 1"),
    ),
)

outbox = table(
    "outbox",
    key("id", BIG),
    col("connection"),
    col("kind"),
    col("key"),
    col("member"),
    col("reference"),
    maybe("data_sealed", BLOB),
    col("status", default="ready"),  # ready | attempting | unknown | done | dead | dropped
    col("attempts", BIG, default=0),
    col("due_at", BIG),
    maybe("attempted_at", BIG),
    maybe("error"),
    maybe("result_sealed", BLOB),
    col("created_at", BIG),
    col("rank", BIG, default=0),  # lower goes first
    Index("uq_outbox_key", "merchant", "connection", "key", unique=True),
    Index(
        "ix_outbox_due",
        "merchant",
        "connection",
        "kind",
        "rank",
        "due_at",
        sqlite_where=text("status IN ('ready', 'attempting', 'unknown')"),
        postgresql_where=text("status IN ('ready', 'attempting', 'unknown')"),
    ),
    Index("ix_outbox_member", "merchant", "member"),
)

#: One message to one member by one channel. `occasion`: what it is about, once for a message and channel.
message = table(
    "message",
    key("id", BIG),
    col("program"),
    col("name"),
    col("member"),
    col("channel"),
    col("connection"),
    col("purpose"),
    col("occasion"),
    col("language", default=""),
    col("state", default="waiting"),  # see RANKS of domain/messages.py
    col("reason", default=""),  # why it was dropped, or waits on
    col("created_at", BIG),
    col("due_at", BIG),
    maybe("until", BIG),  # later than this it is worth nothing
    maybe("attempted_at", BIG),
    maybe("changed_at", BIG),
    col("then", default="[]"),  # channels that are tried where this one fails
    col("parts", BIG, default=0),
    col("cost", BIG, default=0),  # in ten-thousandths of the program's currency
    col("reference", default=""),  # the vendor's
    maybe("to_print"),  # of the address that it went to
    col("gathers", BIG, default=0),  # 1: further changes come into it as long as it waits
    col("test", BIG, default=0),
    maybe("data_sealed", BLOB),
    maybe("content_sealed", BLOB),
    maybe("keep_until", BIG),  # how long it is there to be fetched
    maybe("read_at", BIG),
    maybe("dismissed_at", BIG),
    maybe("answered_at", BIG),
    maybe("score", BIG),
    col("choice", default=""),
    maybe("answer_sealed", BLOB),
    Index("uq_message_occasion", "merchant", "program", "name", "occasion", "channel", unique=True),
    Index("ix_message_member", "merchant", "member", "id"),
    where_known("ix_message_to_print", "to_print"),
    Index("ix_message_name", "merchant", "program", "name", "channel", "language", "state"),
    Index(
        "ix_message_reference",
        "merchant",
        "connection",
        "reference",
        sqlite_where=text("reference <> ''"),
        postgresql_where=text("reference <> ''"),
    ),
)

#: Everything that was told of a message, in whatever order.
message_step = table(
    "message_step",
    key("message", BIG),
    key("state"),
    col("at", BIG),
    col("code", default=""),
    col("detail", default=""),
)

#: Addresses that get nothing more, whoever has them.
suppression = table(
    "suppression",
    key("channel"),
    key("print"),
    col("reason"),  # bounced | complained | unsubscribed | address | hand | imported
    col("at", BIG),
    col("source", default=""),
    col("note", default=""),
    maybe("address_sealed", BLOB),
    Index("ix_suppression_at", "merchant", "at", "channel", "print"),
)

fetch = table(
    "fetch",
    key("connection"),
    key("kind"),
    key("reference"),
    col("wanted_at", BIG),
    col("due_at", BIG),
    col("attempts", BIG, default=0),
    maybe("error"),
    Index("ix_fetch_due", "merchant", "connection", "due_at"),
)

lease = table("lease", key("name"), col("owner"), col("token", BIG), col("until", BIG))

program_version = table(
    "program_version",
    key("program"),
    key("number", BIG),
    col("valid_from", BIG),
    col("source"),
    col("author", default=""),
    col("note", default=""),
    col("created_at", BIG),
)

revision = table("revision", col("number", BIG))

connection_state = table(
    "connection_state",
    key("connection"),
    col("state", default="active"),  # active | paused | ended
    col("reason", default=""),
    col("since", BIG),
)

connection = table(
    "connection",
    key("name"),
    col("plugin"),
    col("orders_of"),
    col("settings_sealed", BLOB),
    col("author"),
    col("added_at", BIG),
    col("changed_at", BIG),
)

store = table("store", key("connection"), key("key"), col("value_sealed", BLOB))

api_key = table(
    "api_key",
    key("id"),
    col("name"),
    col("secret_hash"),
    col("scopes"),
    col("created_at", BIG),
    maybe("expires_at", BIG),
    maybe("revoked_at", BIG),
    maybe("last_used_at", BIG),
    Index("uq_api_key_id", "id", unique=True),
)

idempotency = table(
    "idempotency",
    key("key"),
    key("path"),
    col("body_hash"),
    col("status", BIG),
    maybe("answer_sealed", BLOB),
    maybe("member"),
    col("created_at", BIG),
    Index("ix_idempotency_member", "merchant", "member"),
)

card = table(
    "card",
    key("number"),
    col("member"),
    col("made_at", BIG),
    Index("ix_card_member", "merchant", "member", "made_at"),
)

#: What of a card was shown already that can be shown once; `scan`: by whom, so that the same question gets the same answer.
card_moment = table(
    "card_moment",
    key("number"),
    key("moment"),
    col("scan"),
    col("shown_at", BIG),
    Index("ix_card_moment_shown_at", "merchant", "shown_at"),
)

pass_ = table(
    "pass",
    key("connection"),
    key("serial"),
    col("member"),
    col("made_at", BIG),
    maybe("saved_at", BIG),
    maybe("removed_at", BIG),
    col("content", default=""),  # a digest of what was delivered last
    col("first", default=""),  # the first figure as it was delivered last
    col("noticed", default="[]"),  # when whoever holds it was notified, in microseconds, lately
    Index("ix_pass_member", "merchant", "member"),
)

till = table(
    "till",
    key("name"),
    col("branch", default=""),
    col("pairing", BIG, default=1),  # of which pairing its devices' cookies must be
    col("made_at", BIG),
    maybe("ended_at", BIG),
)

staff = table(
    "staff",
    key("id"),
    col("name"),
    col("pin_print"),
    col("made_at", BIG),
    maybe("ended_at", BIG),
    one_of_those("ix_staff_pin_print", "pin_print", "ended_at IS NULL"),
    one_of_those("ix_staff_name", "name", "ended_at IS NULL"),
)

shift = table(
    "shift",
    key("till"),
    key("name"),
    maybe("staff"),
    col("opened_at", BIG),
    maybe("closed_at", BIG),
    col("points", BIG, default=0),  # given, in the smallest unit of the first wallet
    col("worth", BIG, default=0),
    col("typed", BIG, default=0),
    Index("ix_shift_staff", "merchant", "staff", "opened_at"),
)

act = table(
    "act",
    key("till"),
    key("id"),
    col("kind"),
    maybe("member"),
    col("shift", default=""),
    col("staff", default=""),
    col("status"),  # done | refused | held | dismissed | undone
    col("known", default=""),
    col("body_hash"),
    maybe("body_sealed", BLOB),
    col("at", BIG),
    col("received_at", BIG),
    col("points", default="{}"),
    col("worth", BIG, default=0),
    maybe("redemption"),
    maybe("of"),  # the act that it undoes, or whose sale it takes back
    maybe("undone_by"),
    maybe("code"),
    col("note", default=""),
    maybe("asked_print"),  # of the address that was told of somebody who is not known by it
    where_known("ix_act_member", "member"),
    where_known("ix_act_asked_print", "asked_print"),
    Index("ix_act_status", "merchant", "status", "received_at", "till", "id"),
    Index("ix_act_of", "merchant", "till", "of"),
    Index("ix_act_latest", "merchant", "received_at", "till", "id"),
    Index("ix_act_shift", "merchant", "till", "shift", "received_at", "id"),
)
