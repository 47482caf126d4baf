"""How long a text is as an SMS: in which alphabet it goes, and how many parts it takes."""

from __future__ import annotations

#: 3GPP TS 23.038: the default alphabet, and what takes two places in it.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
#: How much fits into a text that is one part, and into each part of a longer one.
_GSM, _UCS2 = (160, 153), (70, 67)


def is_basic(text: str) -> bool:
    """Whether the text goes in the default alphabet; one other letter makes all of it UCS-2."""
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def parts_of(text: str) -> int:
    """How many parts a text takes, each of which is sent and paid for by itself; at least one."""
    if is_basic(text):
        sizes, (alone, together) = [1 + (letter in _EXTENDED) for letter in text], _GSM
    else:
        sizes, (alone, together) = [len(letter.encode("utf-16-be")) // 2 for letter in text], _UCS2
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, together
    for size in sizes:  # what takes two places is not torn apart
        if size > room:
            parts, room = parts + 1, together
        room -= size
    return parts
