"""What people mean who write back: words that every gateway knows, their own languages, and free text where it is plain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

Meaning = Literal["stop", "start", "help", "balance", "rewards", ""]

#: The words that alone mean something; the first of each are those that the texts tell people.
WORDS: Mapping[Meaning, frozenset[str]] = {
    "stop": frozenset(
        {
            "stop", "stopall", "stop all", "unsubscribe", "end", "quit", "revoke", "optout", "opt out", "opt-out", "cancel",
            "afmelden", "stoppen", "uitschrijven", "basta", "annulla", "cancellami", "disiscrivimi", "ferma", "berhenti",
            "henti", "hentikan", "batal", "توقف", "إيقاف", "ايقاف", "الغاء", "إلغاء", "stopp", "abmelden",
        }
    ),
    "start": frozenset(
        {"start", "unstop", "yes", "subscribe", "optin", "opt in", "aanmelden", "iscrivimi", "inizia", "mula", "mulai", "ابدأ", "اشتراك"}
    ),
    "help": frozenset({"help", "info", "hulp", "aiuto", "bantuan", "tolong", "مساعدة"}),
    "balance": frozenset({"balance", "points", "saldo", "punten", "punti", "poin", "mata", "baki", "رصيد", "نقاط"}),
    "rewards": frozenset({"rewards", "reward", "beloningen", "premi", "hadiah", "ganjaran", "مكافآت"}),
}  # fmt: skip
#: Said in so many words that nothing more is wanted.
_THEM = r"(?:texts?|texting|messages?|messaging|e-?mails?|sms)"
_PLAIN = re.compile(
    r"\b(?:(?:stop|quit|cease)\s+(?:\w+\s+)?(?:texting|messaging|contacting|sending|writing|emailing|calling)"
    rf"|(?:stop|quit|cease)\s+(?:it\b|(?:(?:all|these|those|the|your|this)\s+)*{_THEM})"
    r"|(?:do\s*n[o']?t|never|no\s+longer)\s+(?:ever\s+)?(?:text|message|contact|write|e-?mail|call)(?:\s+(?:to\s+)?(?:me|us|this|again|any)\b|$)"
    rf"|(?:do\s*n[o']?t|never)\s+(?:ever\s+)?send\s+(?:(?:me|us|any|anything|more|these|those)\b|{_THEM})"
    rf"|(?:do\s*n[o']?t|no\s+longer)\s+want\s+(?:(?:to|get|receive|any|more|these|those|the|your)\s+)*{_THEM}"
    r"|(?:want|like)\s+to\s+(?:stop(?!\s+(?:by|in|at))|unsubscribe|opt\s+out|be\s+removed)"
    r"|(?:(?:remove|delete)\s+(?:me|my\s+(?:number|address|phone))|take\s+(?:me|my\s+(?:number|address|phone))\s+off)"
    rf"|(?:no|not\s+any)\s+more\s+{_THEM}"
    r"|(?:revoke|withdraw)\s+(?:my\s+)?consent|opt\s+(?:me\s+)?out|unsubscribe\s+me|leave\s+me\s+alone|wrong\s+number(?!\s+of)"
    r"|niet\s+meer\s+(?:sturen|berichten)|non\s+(?:voglio\s+(?:più\s+)?(?:ricevere|messaggi|sms|e-?mail)|mandate|scrivete)"
    r"|jangan\s+(?:kirim|hantar))\b"
)
#: Somebody who says what cannot or must not stop.
_GOES_ON = re.compile(
    r"\b(?:do\s?n[o']?t|never|ca\s?n'?t|can\s?not|could\s?n'?t|(?:nobody|no\s?one|nothing)\s+can)\s+stop\b"
)
_AROUND = re.compile(r"^[\W_]+|[\W_]+$")


def meaning_of(text: str) -> Meaning:
    """What a text asks for; nothing where that is not plain."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())
    bare = _AROUND.sub("", plain)
    if len(set(bare.split())) == 1:  # STOP STOP STOP
        bare = bare.split()[0]
    for meaning, words in WORDS.items():
        if bare in words:
            return meaning
    if _GOES_ON.search(plain):
        return ""
    # "STOP please", "please stop": the word with nothing but courtesy around it.
    polite = re.sub(r"\b(?:please|pls|plz|now|thanks|thank you|alsjeblieft|per favore|tolong)\b", " ", bare)
    if " ".join(_AROUND.sub("", polite).split()) in WORDS["stop"]:
        return "stop"
    return "stop" if _PLAIN.search(plain) else ""
