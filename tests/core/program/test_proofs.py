from __future__ import annotations

import pytest

from stampcard.errors import ProgramError
from stampcard.program.comparing import changes
from stampcard.program.reading import read_program

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR, when: "'a' in member.verified"}]
"""


@pytest.mark.parametrize(
    ("proofs", "path", "message"),
    [
        ("proofs: {a: {valid: 3 months after last earn}}", "proofs.a.valid", "a verification cannot slide"),
        ("proofs: {a: {recheck: 30 days}}", "proofs.a.recheck", "has no end to be told of"),
        ("proofs: {a: {evidence: {Licence: x}}}", "proofs.a.evidence.Licence", "does not have the form"),
        ("proofs: {a: {ask: maybe}}", "proofs.a.ask", "input should be a valid boolean"),
        ("proofs: {a: {evidense: {}}}", "proofs.a.evidense", "did you mean 'evidence'?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(proofs: str, path: str, message: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read_program(f"{HEAD}{proofs}\n", "test")
    (problem,) = refused.value.problems
    assert (problem.path, message in problem.message) == (path, True), str(problem)


def test_changes_are_told_by_proof() -> None:
    before = read_program(HEAD + "proofs: {a: {valid: 12 months}}\n", "test")
    after = read_program(HEAD + "proofs: {a: {valid: 6 months}, b: {}}\n", "test")
    assert changes(before, after) == ["proof a: valid 12 months → 6 months", "proof b is new"]
