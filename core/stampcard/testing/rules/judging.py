from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.plugin import Eligibility, Member
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import TRIAL, Case

_EVIDENCE = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), st.text(max_size=60), max_size=4)


class JudgingRules(Case):
    """What the plugin says to requests to be verified."""

    def test_a_proof_that_is_not_its_own_is_left_to_others(self) -> None:
        """Asked about something that no plugin knows, it says None."""
        said = self._judge("a-proof-of-nobody", {})
        assert said is None, f"it says {said!r} of a proof that it cannot know"

    def test_whatever_evidence_is_given_gets_an_answer(self) -> None:
        """Any text under any name, and none, leads to an Eligibility or to None, never to an exception."""
        judge = self._judge

        @TRIAL
        @given(evidence=_EVIDENCE)
        def tried(evidence: Mapping[str, str]) -> None:
            for proof in self.proofs:
                told = judge(proof, evidence)
                assert told is None or isinstance(told, Eligibility), f"{proof}: {told!r} is no Eligibility"

        judge("a-proof-of-nobody", {})
        tried()

    def test_the_same_request_gets_the_same_answer(self) -> None:
        """Evidence that it approves is approved each time: a request may be decided again after a lost commit."""
        for proof, evidence in self.proofs.items():
            first, second = self._judge(proof, evidence), self._judge(proof, evidence)
            assert isinstance(first, Eligibility), f"{proof}: the evidence that the author names is not decided"
            assert first.approved, f"{proof}: the evidence that the author names is refused: {first.reason}"
            assert first == second, f"{proof}: {first!r}, then {second!r}"

    def test_a_refusal_says_why_and_repeats_no_evidence(self) -> None:
        """What is refused has a reason for the member, which does not quote what the member wrote."""
        told = "z9-evidence-of-somebody"
        for proof, evidence in self.proofs.items():
            said = self._judge(proof, dict.fromkeys(evidence, told))
            if said is not None and not said.approved:
                assert said.reason.strip(), f"{proof}: refused without a reason"
                assert told not in said.reason, f"{proof}: the reason repeats the evidence"

    def _judge(self, proof: str, evidence: Mapping[str, str]) -> Any:
        hook: Callable[..., Any] | None = getattr(self.plugin, "verify_eligibility", None)
        if hook is None:
            pytest.skip("verifies nothing")
        member = Member(id="m_somebody", joined_at=NOON)
        asked = {"proof": proof, "program": "main", "evidence": dict(evidence), "member": member}
        try:
            return hook(**{name: asked[name] for name in inspect.signature(hook).parameters})
        except Exception as error:  # noqa: BLE001 - whatever it is, the rule is broken
            pytest.fail(f"{proof}: {type(error).__name__}")
