# ruff: noqa: T201 - a script that people run
"""A long trial: very many messages sent by a real server that is killed on the way, by mail and by text.

Then as many again in peace, to see how many leave in a second, and how soon none does once the message is switched off.

    python tests/benchmarks/writing.py [MEMBERS] [email] [sms]

Ends with 1 where anybody got something twice, or without having agreed, or where nobody can say why something did not leave.
Nothing is waited for less long than in life: what a killed server left open is looked at three minutes later. What `make
test` runs of it is small: tests/flows/test_killing_messages.py.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

# The helpers of tests stand beside this folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from remembering import resident
from tests.recipients import Club, Mails, Post, Texts, club

from stampcard.testing.processes import Server, starting

MEMBERS, KILLS = 3_000, 5
#: Seconds between two looks; without anything new for so long, what is under way has arrived.
LOOK, QUIET = 0.01, 5.0
#: Seconds after which a trial that is not over is broken off.
PATIENCE = 900.0


class Watch:
    """Counts what arrives, and notes when."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.arrivals: list[float] = []
        self.memory: list[float] = []

    async def until(self, count: int, server: Server) -> None:
        """Wait until so many are there in all."""
        began = time.monotonic()
        while self.post.count < count:
            self.look()
            if time.monotonic() - began > PATIENCE:
                message = f"{self.post.count} of {count} came; the server said: {server.output[-2000:]}"
                raise TimeoutError(message)
            await asyncio.sleep(LOOK)
        self.look()
        self.memory.append(resident(server.pid))

    async def quiet(self) -> None:
        """Wait until nothing comes any more."""
        seen, since = self.post.count, time.monotonic()
        while time.monotonic() - since < QUIET:
            await asyncio.sleep(LOOK)
            self.look()
            if self.post.count != seen:
                seen, since = self.post.count, time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        self.arrivals += [now] * (self.post.count - len(self.arrivals))


async def _run(folder: Path, post: Post, members: int) -> bool:
    async with club(folder, f"sqlite:///{folder / 'stampcard.db'}", post) as (people, config):
        await people.grow(members)
        watch = Watch(post)
        await people.write("killed")
        await _kill(people, config, watch, members)
        async with starting(config) as server:
            await _over(people)
            print(f"{post.channel}: {KILLS} kills among {post.count} messages; {dict(await people.told())}")
            watch.look()
            faults = await people.faults(mailings=1, kills=KILLS)
            await people.write("in peace")
            await _in_peace(people, watch, server, post.count, members)
            await _over(people)
            await server.stop()
        faults += await people.faults(mailings=2, kills=KILLS)
        print(*faults or ["nobody got anything twice, or without having agreed"], sep="\n")
        return not faults


async def _kill(people: Club, config: Path, watch: Watch, members: int) -> None:
    """Life after life, each ended at any moment; meanwhile some take back what they said."""
    chance, reached = random.Random(members), members * 6 // 8
    for life in range(KILLS):
        async with starting(config) as server:
            # What was marked and never left does not come any more.
            left = reached - watch.post.count - life * people.most_at_once - people.withdrawn
            await watch.until(watch.post.count + int(max(0, left) * chance.uniform(0.05, 0.25)), server)
            await people.withdraw()
            await asyncio.sleep(chance.uniform(0, 0.2))
            server.kill()
        print(f"{watch.post.channel}: killed for the {life + 1}. time after {watch.post.count} messages")


async def _in_peace(people: Club, watch: Watch, server: Server, before: int, members: int) -> None:
    """How fast they leave, until half of them have, and how soon none does any more."""
    half = before + members * 3 // 8 - people.withdrawn
    await watch.until(half, server)
    spent = watch.arrivals[half - 1] - watch.arrivals[before]
    print(f"{watch.post.channel}: {(half - before - 1) / spent:.0f} messages a second")
    asked, refused = time.monotonic(), people.refused
    await people.halt()
    halted, seen = time.monotonic(), watch.post.count
    print(
        f"{watch.post.channel}: switched off {halted - asked:.2f} s after it was asked for, refused {people.refused - refused} times"
    )
    await watch.quiet()
    late = [at - halted for at in watch.arrivals[seen:]]
    print(
        f"{watch.post.channel}: of {before + members * 6 // 8 - seen} that were still to leave at most, {len(late)} came after "
        f"it was switched off, the last {max(late, default=0.0):.2f} s later"
    )
    await people.resume()
    print(f"{watch.post.channel}: memory of the server {max(watch.memory):.0f} MB at most")


async def _over(people: Club) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await people.is_over():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(1.0)


def main() -> None:
    """Run the trial, by the channels that are named, or by one after the other."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else MEMBERS
    named, done = sys.argv[2:], []
    for post in (Mails(), Texts()):
        if named and post.channel not in named:
            continue
        with tempfile.TemporaryDirectory() as folder:
            done.append(asyncio.run(_run(Path(folder), post, members)))
    sys.exit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
