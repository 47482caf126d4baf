"""What an API key may be allowed to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping

ADMIN, MARKETER = "admin", "marketer"

#: Scope → what it allows, as keys' owners read it.
SCOPES: Mapping[str, str] = {
    "members:read": "see members, their balances, lots and entries",
    "members:write": "create, change and erase members",
    "points:write": "spend, cancel spends, and adjust points by hand",
    "rewards:read": "see the rewards and what is left of them",
    "redemptions:read": "see what members can have, and redemptions with their codes",
    "redemptions:write": "redeem for members, use, release and revoke redemptions",
    "counter": "work at the counter: recognise cards, enrol, sell, hand out rewards, and undo that",
    "counter:review": "see what was done at counters, and decide what could not be booked",
    "counter:manage": "pair tills, and give staff their PINs",
    "events:write": "report events of your own",
    "orders:read": "see orders and why they earned what they earned",
    "dry-run": "ask what an order or event would earn: shows what a member has and why",
    "deliveries:read": "see what came in, without bodies",
    "deliveries:body": "see the raw bodies of what came in: personal data",
    "deliveries:write": "apply deliveries again",
    "outbox:read": "see what is to be sent",
    "outbox:write": "send again, drop, and bring a connection up to date",
    "connections:read": "see connections and how they are",
    "connections:write": "pause and resume connections",
    "connections:plug": "add, change and remove connections with their secrets",
    "programs:read": "see the programs",
    "programs:write": "change programs, whole or in part, and upload codes for rewards",
    "switches:read": "see what is stopped",
    "switches:write": "stop and start programs, campaigns, rules, rewards, messages, plugins and connections",
    "alerts:read": "see alerts: budgets that run low, unusual days, silent connections",
    "messages:read": "see messages to members and what became of them, and addresses that get none",
    "messages:write": "try messages, send them, settle those of unknown outcome, hold and release addresses",
    "reports:read": "see the reports: figures of all members together, nothing of one",
    "health:read": "see the health of the installation in detail",
    MARKETER: "see and change programs, see alerts and reports, stop and start; no member, no order, no body of what came in",
    ADMIN: "everything",
}

#: Scope → the others that it stands for.
_STANDS_FOR: Mapping[str, Collection[str]] = {
    MARKETER: (
        "rewards:read",
        "programs:read",
        "programs:write",
        "switches:read",
        "switches:write",
        "alerts:read",
        "reports:read",
    ),
    ADMIN: SCOPES.keys(),
}


def allows(granted: Collection[str], scope: str) -> bool:
    """Whether a key with these scopes may do what `scope` stands for."""
    return scope in granted or any(scope in _STANDS_FOR.get(one, ()) for one in granted)
