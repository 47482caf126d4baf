"""The practice till, as the tutorial walks through it, over HTTP against the command itself."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
from tests.webhooks.test_counter_pages import Phone

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "counter.md"


class Nowhere:
    """Stands for a server whose addresses are all whole."""

    address = ""


@asynccontextmanager
async def practising(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """`stampcard demo --counter` in a process of its own; yields what it prints."""
    # Whoever runs tests in the background lets them ignore Ctrl-C; at a terminal nobody does.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", f"{heard}from stampcard.cli.main import run; run()", "demo", "--counter", "--port", "0",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        text = ""
        async with asyncio.timeout(60):
            while text.count("/pass/") < 3:
                line = (await process.stdout.readline()).decode()
                assert line, text
                text += line
        yield {
            "pairing": re.findall(r"http://\S+/counter/pair/\S+", text)[0],
            "pin": re.findall(r"PIN: +(\d+)", text)[0],
            "customers": {
                name: (number, page)
                for name, number, page in re.findall(r"^ +(\w+) +([\d ]{14}) +(\S+)$", text, re.MULTILINE)
            },
        }
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() in {0, 130}


async def test_the_tutorial_of_the_counter_is_true(tmp_path: Path) -> None:
    words = " ".join(PAGE.read_text(encoding="utf-8").split())
    async with practising(tmp_path) as practice:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session, aiohttp.ClientSession() as customer:
            phone, own = Phone(Nowhere(), session), Phone(Nowhere(), customer)
            base = practice["pairing"].partition("/counter")[0]

            async def home() -> None:
                await phone.get(f"{base}/counter")

            async def press(button: str, **typed: str) -> None:
                assert f"*{button}" in words or button == "Begin", button
                action, hidden, _ = next(one for one in phone.forms() if one[2].startswith(button))
                await phone.post(base + action, {**hidden, **typed})

            ada, cy = (practice["customers"][name] for name in ("Ada", "Cy"))
            await phone.get(practice["pairing"])
            await phone.post(practice["pairing"], {})
            await press("Begin", pin=practice["pin"])

            await press("Go on", card=ada[0])
            await press("Give points", amount="12.50")
            assert "Sale: 12.50, +12" in phone.text
            assert "Sale: 12.50, +12" in words
            await own.get(ada[1])
            assert ">32<" in own.text
            await press("Undo")
            await own.get(ada[1])
            assert ">20<" in own.text

            await home()
            await press("Go on", card=cy[0])
            await press("Hand out: Free coffee")
            assert "Reward handed out: coffee, -30" in phone.text
            await home()
            assert unescape(phone.text).count("Reward handed out") == 1

            await press("New member", phone="+49 171 2345678", first_name="Dee")
            await press("Go on with this member")
            assert "20 points" in phone.text
            await home()
            await press("End the shift of Robin")
            assert "Your PIN" in phone.text
