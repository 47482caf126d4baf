"""Members are merged and parted from the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.databases import on_sqlite
from typer.testing import Result

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]


def test_two_members_become_one_and_two_again(run: Run, data: Data, join: Join) -> None:
    assert run("member", "merges").stderr == "No members were merged.\n"
    ann, bob = join("7"), join("8")
    run("member", "adjust", "shop:8", "points", "1250", "--reason", "a gift")

    merged = run("member", "merge", "shop:8", ann, "--yes", "--note", "two accounts")

    assert merged.exit_code == 0, merged.output
    id_ = merged.stdout.partition(":")[0]
    assert merged.stdout == f"{id_}: all of {bob} is {ann}'s now\n"
    assert f"stampcard member unmerge {id_}" in merged.stderr
    assert data("member", "show", "shop:8")["id"] == ann
    gone = run("member", "show", bob)
    assert (gone.exit_code, gone.stderr) == (
        1,
        f"error: the member '{bob}' was merged into '{ann}': ask for that one\n",
    )
    assert run("member", "merges").stdout.splitlines()[1].split()[0] == id_
    run("member", "spend", ann, "points", "250")

    parted = run("member", "unmerge", id_)

    assert parted.stdout == (
        f"{bob} and {ann} are two members again; orders since then that went back: 0\n"
        f"2.50 of 'points' had been spent by {ann} meanwhile, and stay spent\n"
    )
    assert data("member", "merges")[0]["undone_by"] == "cli"
    assert "undone" in run("member", "merges").stdout
    assert run("member", "unmerge", id_).stderr.startswith("error: the merge was undone on ")


@on_sqlite
def test_a_merge_asks_before_it_is_made(run: Run, join: Join) -> None:
    ann, bob = join("7"), join("8")
    asked = run("member", "merge", bob, ann, input="n\n")
    assert asked.exit_code != 0
    assert run("member", "show", bob).exit_code == 0
