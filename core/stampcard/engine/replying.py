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
_PLAIN = re.compile(
    r"\b(?:(?:stop|quit|cease)\s+(?:\w+\s+)?(?:texting|messaging|contacting|sending|writing|emailing|calling|these|all|this)"
    r"|(?:do\s*n[o']?t|never|no\s+longer)\s+(?:ever\s+)?(?:text|message|contact|send|write|e-?mail|call)"
    r"|(?:(?:remove|delete)\s+(?:me|my\s+(?:number|address|phone))|take\s+(?:me|my\s+(?:number|address|phone))\s+off)"
    r"|(?:no|not\s+any)\s+more\s+(?:texts?|messages?|e-?mails?|sms)"
    r"|(?:revoke|withdraw)\s+(?:my\s+)?consent|opt\s+(?:me\s+)?out|unsubscribe\s+me|leave\s+me\s+alone|wrong\s+number(?!\s+of)"
    r"|niet\s+meer\s+(?:sturen|berichten)|non\s+(?:voglio|mandate|scrivete)|jangan\s+(?:kirim|hantar))\b"
)
_AROUND = re.compile(r"^[\W_]+|[\W_]+$")


def meaning_of(text: str) -> Meaning:
    """What a text asks for; nothing where that is not plain."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())
    bare = _AROUND.sub("", plain)
    for meaning, words in WORDS.items():
        if bare in words:
            return meaning
    if re.search(r"\b(?:don'?t|do not|never)\s+stop\b", plain):
        return ""
    # "STOP please", "please stop": the word with nothing but courtesy around it.
    polite = re.sub(r"\b(?:please|pls|plz|now|thanks|thank you|alsjeblieft|per favore|tolong)\b", " ", bare)
    if " ".join(_AROUND.sub("", polite).split()) in WORDS["stop"]:
        return "stop"
    return "stop" if _PLAIN.search(plain) else ""
