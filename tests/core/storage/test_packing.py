from __future__ import annotations

import msgspec
import pytest

from stampcard.domain.decisions import Reason
from stampcard.storage.packing import pack_reasons, unpack_reasons

REASONS = tuple(
    Reason(rule=f"rule-{n}", outcome="not_matched", code="condition", detail="not true: order.total >= 50.0")
    for n in range(20)
)


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_reasons_come_back_as_they_were(count: int) -> None:
    assert unpack_reasons(pack_reasons(REASONS[:count])) == REASONS[:count]


def test_what_is_said_again_and_again_takes_little_room() -> None:
    assert len(pack_reasons(REASONS)) * 4 < len(msgspec.json.encode(REASONS))


def test_reasons_that_were_kept_as_plain_json_are_read_too() -> None:
    assert unpack_reasons(msgspec.json.encode(REASONS).decode()) == REASONS
