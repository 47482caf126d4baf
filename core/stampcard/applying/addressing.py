"""By what of an address people are found, and who is found by it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from stampcard.applying.setting import Setting
from stampcard.sealing import Sealer
from stampcard.storage.contacts import by_prints
from stampcard.storage.saving import take_turns


def email_print(sealer: Sealer, email: str) -> str:
    """What an e-mail address is found by."""
    return sealer.fingerprint(f"email:{email.strip().lower()}")


def phone_print(sealer: Sealer, phone: str) -> str:
    """What a phone number is found by, as it is written."""
    return sealer.fingerprint(f"phone:{phone}")


def known_by(connection: Connection, setting: Setting, phone: str, email: str, now: datetime) -> dict[str, str]:
    """Members who are there with one of these addresses → the channel by which that reaches them.

    Whoever asks for the same at once waits until we have committed: of several with the same address one is made.
    """
    merchant, sealer, found = setting.merchant, setting.sealer, dict[str, str]()
    asked: tuple[tuple[Literal["phone_print", "email_print"], str, str], ...] = (
        ("phone_print", phone and phone_print(sealer, phone), "sms"),
        ("email_print", email and email_print(sealer, email), "email"),
    )
    for column, print_, channel in asked:
        if print_:
            take_turns(connection, merchant, f"known by:{print_}", now)
            found |= dict.fromkeys(by_prints(connection, merchant, column, [print_]).get(print_, ()), channel)
    return found
