"""The events that every program knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FieldType = Literal["string", "integer", "number", "boolean", "date"]

PURCHASE = "purchase"
REFUND = "refund"
SIGN_UP = "sign_up"
BIRTHDAY = "birthday"
ANNIVERSARY = "anniversary"
#: What happens to a member's tier, with what it tells.
TIER_UP, TIER_DOWN, TIER_KEPT, TIER_ENDING = "tier_up", "tier_down", "tier_kept", "tier_ending"
OF_TIERS: Mapping[str, Mapping[str, FieldType]] = {
    TIER_UP: {"tier": "string", "before": "string"},
    TIER_DOWN: {"tier": "string", "before": "string", "why": "string"},
    TIER_KEPT: {"tier": "string"},
    TIER_ENDING: {"tier": "string", "missing": "number", "next": "string", "next_missing": "number"},
}
SEGMENT_ENTERED, SEGMENT_LEFT = "segment_entered", "segment_left"
OF_SEGMENTS: Mapping[str, Mapping[str, FieldType]] = {
    SEGMENT_ENTERED: {"segment": "string"},
    SEGMENT_LEFT: {"segment": "string"},
}
PERK_GAINED, PERK_LOST, PERK_USED = "perk_gained", "perk_lost", "perk_used"
OF_PERKS: Mapping[str, Mapping[str, FieldType]] = {
    PERK_GAINED: {"perk": "string", "why": "string"},
    PERK_LOST: {"perk": "string", "why": "string"},
    PERK_USED: {"perk": "string", "left": "integer"},
}
PLAN_STARTED, PLAN_RENEWED, PLAN_ENDED = "plan_started", "plan_renewed", "plan_ended"
OF_PLANS: Mapping[str, Mapping[str, FieldType]] = {
    PLAN_STARTED: {"plan": "string", "trial": "boolean"},
    PLAN_RENEWED: {"plan": "string"},
    PLAN_ENDED: {"plan": "string", "why": "string"},
}
OF_PROOFS: Mapping[str, Mapping[str, FieldType]] = {
    f"proof_{way}": {"proof": "string"} for way in ("asked", "approved", "refused", "ending", "expired", "revoked")
}
#: What happens to members here, with what it tells.
OWN_EVENTS: Mapping[str, Mapping[str, FieldType]] = {**OF_TIERS, **OF_SEGMENTS, **OF_PERKS, **OF_PLANS, **OF_PROOFS}
#: Events that follow from what we know ourselves: orders, joining, the calendar, and the above.
BUILT_IN_EVENTS = (PURCHASE, REFUND, SIGN_UP, BIRTHDAY, ANNIVERSARY, *OWN_EVENTS)
#: What the conditions of segments are asked about; no rule is on it.
SEGMENT = "segment"
#: The same of perks.
PERK = "perk"
#: What the conditions of rewards are asked about; no rule is on it. Its `order` is the cart.
REWARD = "reward"
#: The two that are about an order.
OF_ORDERS = frozenset({PURCHASE, REFUND})

#: What a subscription app reports when a plan is paid once more.
RENEWED = "subscription_renewed"
#: A member answered the question of a message.
ANSWERED = "answered"
#: Somebody put their card into their phone.
CARD_SAVED = "card_saved"
#: Told by shops when somebody agrees to their mails.
NEWSLETTER = "newsletter"
#: Events that a shop, a plugin or a script reports, with the fields that they may carry; a program may add fields.
REPORTED: Mapping[str, Mapping[str, FieldType]] = {
    "review": {"product": "string", "stars": "integer", "photo": "boolean"},
    NEWSLETTER: {},
    "social_follow": {"network": "string"},
    "social_share": {"network": "string", "link": "string"},
    "visit": {"place": "string"},
    "reload": {"amount": "number"},
    "subscription_started": {"product": "string", "amount": "number"},
    RENEWED: {"product": "string", "amount": "number"},
    CARD_SAVED: {},
    ANSWERED: {"message": "string", "score": "integer", "choice": "string"},
}

#: The field that says how much money an event was about; awards per amount earn on it.
AMOUNT = "amount"
