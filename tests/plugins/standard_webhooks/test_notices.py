from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, timezone
from typing import get_args

import msgspec
import pytest

from stampcard.domain.ledger import EntryKind
from stampcard.plugin import Balance, Change
from stampcard.testing.clock import NOON
from stampcard_standard_webhooks.notices import EVENTS, NAMES
from stampcard_standard_webhooks.plugin import outbound_commands

Make = Callable[..., Change]


@pytest.mark.parametrize(("kind", "name"), list(NAMES.items()))
def test_each_kind_of_change_has_its_event(change: Make, kind: str, name: str) -> None:
    (command,) = outbound_commands(change(kind))
    assert (command.kind, command.member, command.data["type"]) == ("webhook", "m_ada", name)


def test_every_kind_of_entry_is_told() -> None:
    # An import happens in silence.
    assert set(get_args(EntryKind)) - {"import"} <= NAMES.keys()


def test_no_two_kinds_share_an_event() -> None:
    assert len(set(EVENTS)) == len(EVENTS)


def test_a_kind_that_nobody_knows_tells_nothing(change: Make) -> None:
    assert [command.data["type"] for command in outbound_commands(change("dance", "earn"))] == ["points.earned"]
    assert list(outbound_commands(change("dance"))) == []


def test_the_payload_is_the_type_the_moment_and_the_figures(change: Make) -> None:
    (command,) = outbound_commands(change("earn"))
    assert command.data == {
        "type": "points.earned",
        "timestamp": "2026-03-10T12:00:00Z",
        "data": {
            "member": "m_ada",
            "version": 7,
            "balances": {
                "points": {
                    "active": 120, "pending": 30, "held": 0, "spent": 0, "expired": 0, "negative": 0, "lifetime": 150,
                    "scale": 0,
                }
            },
            "change": {"points": 120},
        },
    }  # fmt: skip


def test_the_moment_is_told_in_utc(change: Make) -> None:
    (command,) = outbound_commands(change("earn", at=NOON.astimezone(timezone(timedelta(hours=9)))))
    assert command.data["timestamp"] == "2026-03-10T12:00:00Z"


def test_many_wallets_stay_below_20_kilobytes(change: Make) -> None:
    figures = Balance(active=10**9, pending=10**9, spent=10**9, expired=10**9, lifetime=4 * 10**9, scale=2)
    names = [f"wallet_{number}" for number in range(100)]
    (command,) = outbound_commands(
        change("earn", balances=dict.fromkeys(names, figures), delta=dict.fromkeys(names, 10**9))
    )
    assert len(msgspec.json.encode(command.data)) < 20_000


def test_the_id_is_the_same_for_the_same_change_and_another_for_everything_else(change: Make) -> None:
    changes = [
        change("earn", "join"),
        change("earn", "join", version=8),
        change("earn", "join", member="m_bob"),
        change("earn", "join", at=NOON + timedelta(microseconds=1)),
    ]
    ids = [command.key for one in changes for command in outbound_commands(one)]
    assert len(set(ids)) == len(ids) == 8
    assert ids == [command.key for one in changes for command in outbound_commands(one)]


@pytest.mark.parametrize("member", ["m_ada", "m.a.d.a", "Åda 7"])
def test_an_id_has_no_dot_whatever_the_member_is_called(change: Make, member: str) -> None:
    (command,) = outbound_commands(change("earn", member=member))
    prefix, _, digest = command.key.partition("_")
    assert prefix == "msg"
    assert len(digest) == 32
    assert digest.isalnum()
    assert digest.isascii()
