"""Addresses of people, in the one form in which two of them are the same."""

from __future__ import annotations

import re
from typing import Literal

AddressKind = Literal["email", "phone"]

#: Providers that ignore dots before the @, with the one name of their several.
_DOTLESS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")
_MARKS = re.compile(r"[\s()./\-\u2010-\u2015\u00a0]+")
#: ITU-T E.164: at most 15 digits behind the +, of which the first is not 0; the shortest numbers in use have 7.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def normal_email(written: str) -> str | None:
    """An e-mail address without case, tag and the dots that its provider ignores; None for what is none."""
    text = written.strip().casefold()
    if _EMAIL.fullmatch(text) is None:
        return None
    local, _, domain = text.rpartition("@")
    local = local.partition("+")[0]
    if domain in _DOTLESS:
        local, domain = local.replace(".", ""), _DOTLESS[domain]
    return f"{local}@{domain}" if local else None


def normal_phone(written: str) -> str | None:
    """A phone number as E.164; None for one without the code of its country, which could be anybody's."""
    text = _MARKS.sub("", written)
    text = f"+{text[2:]}" if text.startswith("00") else text
    return text if _E164.fullmatch(text) else None


def normal(kind: AddressKind, written: str) -> str | None:
    """An address of a kind in its normal form."""
    return normal_email(written) if kind == "email" else normal_phone(written)
