"""Verifications of one member: asked, decided, ended by time; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from stampcard.domain.proofs import Proof, ProofChanged
from stampcard.domain.value import replace
from stampcard.engine.dating import expiry_of, midnight
from stampcard.engine.versions import LiveProgram

_MICROSECOND = timedelta(microseconds=1)
#: Characters that one field of evidence may have.
LONGEST = 1_000


def evidence_fault(live: LiveProgram, name: str, evidence: Mapping[str, str]) -> str:
    """What is wrong with evidence, or nothing."""
    asked = live.program.proofs[name].evidence
    strange = sorted(evidence.keys() - asked.keys())
    if strange:
        return f"{strange[0]!r} is not asked for {name}; asked for: {', '.join(asked) or 'nothing'}"
    missing = [field for field in asked if not evidence.get(field, "").strip()]
    if missing:
        return f"{missing[0]!r} is missing: {asked[missing[0]]}"
    long = [field for field, text in evidence.items() if len(text) > LONGEST]
    return f"{long[0]!r} is too long: at most {LONGEST} characters" if long else ""


def asked(known: Proof, request: str) -> Proof:
    """One more request; what was approved before stays until it ends."""
    return replace(known, request=request, status=known.status if known.since is not None else "asked")


def approved(live: LiveProgram, known: Proof, now: datetime, until: datetime | None) -> Proof:
    """Verified, up to `until` or as long as the program says: from the end of what still counts, else from today."""
    terms, zone = live.program.proofs[known.name], live.program.zone
    if until is None:
        goes_on = known.until if known.verified_at(now) and known.until is not None else None
        day = now.astimezone(zone).date() if goes_on is None else (goes_on - _MICROSECOND).astimezone(zone).date()
        until = expiry_of(terms.valid, zone, day)
        # A day of the year may be the very day on which it ends: the next one is meant.
        if goes_on is not None and until == goes_on:
            until = expiry_of(terms.valid, zone, goes_on.astimezone(zone).date())
    return replace(
        known,
        status="approved",
        since=known.since if known.verified_at(now) else now,
        until=until,
        remind_at=_reminder(live, known.name, until, now),
        request="",
        reason="",
    )


def _reminder(live: LiveProgram, name: str, until: datetime | None, now: datetime) -> datetime | None:
    recheck, zone = live.program.proofs[name].recheck, live.program.zone
    if until is None or recheck is None:
        return None
    at = midnight(until.astimezone(zone).date() - timedelta(days=recheck.count), zone)
    return at if at > now else None


def refused(known: Proof, reason: str) -> Proof:
    """Not verified by this request; what was approved before stays until it ends."""
    return replace(known, status=known.status if known.since is not None else "refused", request="", reason=reason)


def revoked(known: Proof, reason: str) -> Proof:
    """Verified no more."""
    return replace(known, status="revoked", since=None, until=None, remind_at=None, reason=reason)


def passed(known: Proof, now: datetime) -> tuple[Proof, ProofChanged | None]:
    """What time alone has changed by now: first the notice, then the end."""
    told = ProofChanged(program=known.program, proof=known.name, way="expired", occurred_at=now, until=known.until)
    if known.since is not None and known.until is not None and known.until <= now:
        status = "asked" if known.request else "expired"
        return replace(known, status=status, since=None, until=None, remind_at=None), told
    if known.since is not None and known.remind_at is not None and known.remind_at <= now:
        return replace(known, remind_at=None), replace(told, way="ending")
    return known, None
