"""What the guide tells a receiver's developer is true."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stampcard_standard_webhooks.notices import EVENTS
from stampcard_standard_webhooks.plugin import StandardWebhooksSettings
from stampcard_standard_webhooks.signing import key_of, signatures

GUIDE = (Path(__file__).parents[3] / "docs" / "how-to" / "send-webhooks.md").read_text(encoding="utf-8")
NEWER = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="
OLDER = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
BODY = '{"note": "Zoë"}'.encode()


@pytest.fixture
def is_genuine() -> Callable[[dict[str, str], bytes], bool]:
    """The guide's own function, for a receiver who knows the older secret."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("whsec_…", OLDER), names)  # noqa: S102 - our own page
    check: Callable[[dict[str, str], bytes], bool] = names["is_genuine"]
    return check


def headers(age: int = 0, *secrets: str) -> dict[str, str]:
    timestamp = int(time.time()) - age  # noqa: TID251 - so does the guide's function
    signed = signatures(map(key_of, secrets or (NEWER, OLDER)), "msg_1", timestamp, BODY)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signed}


def test_its_check_believes_what_is_genuine_and_nothing_else(
    is_genuine: Callable[[dict[str, str], bytes], bool],
) -> None:
    assert is_genuine(headers(), BODY)
    assert not is_genuine(headers(), BODY + b" ")
    assert not is_genuine(headers() | {"webhook-id": "msg_2"}, BODY)
    assert not is_genuine(headers(400), BODY)
    assert not is_genuine(headers(0, NEWER), BODY)


def test_it_names_every_event_and_every_setting() -> None:
    cells = re.findall(r"^\| `([a-z_.]+)` \|", GUIDE, re.MULTILINE)
    receiving = {"signature", "signature_header", "webhook_secrets", "tolerance", "refunds", "mapping"}
    assert set(cells) == {*EVENTS, "member.balance", *StandardWebhooksSettings.model_fields} - receiving
