"""Addresses as they stand in a mail and in its envelope, those with letters beyond ASCII too."""

from __future__ import annotations

import re
import unicodedata

from stampcard.plugin import Rejected

#: Quoted names (`"a b"@…`) and addresses in numbers (`a@[192.0.2.1]`) are left out: nobody's mailbox is called so.
ADDRESS = r"^[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,255}$"
_ADDRESS = re.compile(ADDRESS)
_ATOMS = re.compile(r"[^.]+(\.[^.]+)*")
#: What ends a label, in any script (RFC 3490, 3.1).
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Unwritable(Exception):
    """A message that no mail can be made of; `outcome` says why."""

    def __init__(self, outcome: Rejected) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason)


def parted(address: str) -> tuple[str, str]:
    """What stands before and behind the @."""
    local, _, domain = address.rpartition("@")
    return local, domain


def mailbox(address: str) -> str:
    """The address with its domain in ASCII, so that servers without SMTPUTF8 reach it; raises Unwritable."""
    local, domain = parted(address)
    try:
        plain = in_ascii(domain)
        address.encode()
    except ValueError:
        plain = ""
    if not plain or not _ADDRESS.fullmatch(address) or not _ATOMS.fullmatch(local):
        raise Unwritable(Rejected(reason="the address is none that a mail can go to", because="address"))
    return f"{local}@{plain}"


def in_ascii(domain: str) -> str:
    """A domain's name in ASCII; raises ValueError for what is none.

    Not by the standard library's codec: it makes of some names (those with ß, say) another one, which may be a stranger's.
    """
    labels = [_labelled(label) for label in _DOTS.split(unicodedata.normalize("NFKC", domain).lower())]
    if not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("is not the name of a domain")
    return ".".join(labels)


def _labelled(label: str) -> str:
    return label if label.isascii() else f"xn--{unicodedata.normalize('NFC', label).encode('punycode').decode()}"
