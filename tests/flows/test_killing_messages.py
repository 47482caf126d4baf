"""A process that is killed while it writes to members sends nobody anything twice, and nothing to who did not agree."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.recipients import Club, Mails, Post, Texts, club

from stampcard.testing.processes import starting
from stampcard.testing.waiting import eventually

#: How long what a dead process held is waited for, and how long an effect may take to be visible.
HELD = {"MORTAL_HELD": "3"}


@pytest.mark.parametrize(
    ("database_url", "post", "count", "points"),
    [
        # Four calls of twenty mails may be under way at once: of these nobody can tell whether they left.
        ("sqlite", Mails, 200, ("while-writing-to-all:1", "after-marking-messages:1", "after-sending-messages:1")),
        ("postgresql", Texts, 48, ("after-sending-messages:3", "while-settling-messages:3")),
    ],
    indirect=["database_url"],
)
async def test_nobody_gets_anything_twice_or_without_having_agreed(
    database_url: str, tmp_path: Path, stampcard: Sequence[str], post: type[Post], count: int, points: Sequence[str]
) -> None:
    async with club(tmp_path, database_url, post()) as (members, config):
        await members.grow(count)
        await members.write("news of today")
        for point in points:
            async with starting(config, entry=stampcard, environment={**HELD, "MORTAL": point}) as server:
                assert await server.ended() == -signal.SIGKILL, f"{point}: {server.output}"
            await members.withdraw()
        async with starting(config, entry=stampcard, environment=HELD) as server:
            await eventually("it is known what became of each message", members.is_over, within=60)
            assert await server.stop() == 0, server.output
        assert await members.faults(mailings=1, kills=len(points)) == []
        assert await _outcome(members) == {"left", "dropped"} | ({"unknown"} if post is Mails else set())


async def _outcome(members: Club) -> set[str]:
    """What became of messages: of those of which nobody knows, Twilio can be asked, a mail server cannot."""
    return {row.state if row.state in {"unknown", "dropped"} else "left" for row in await members.rows()}
