from __future__ import annotations

import asyncio

from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, hookimpl
from stampcard_smtp.bouncing import Bounces
from stampcard_smtp.pooling import TROUBLE, Pool, Unreachable
from stampcard_smtp.sending import BATCH, EmailChannel
from stampcard_smtp.settings import SmtpSettings

__all__ = ["SmtpSettings", "connect", "plugin_manifest"]

OK = 250


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="smtp",
        summary="SMTP: messages out as mails by your own mail server, bounces and complaints in",
        settings=SmtpSettings,
        asks=("host", "port", "security", "username", "password", "sender", "sender_name"),
    )


@hookimpl
async def connect(context: ConnectionContext[SmtpSettings]) -> Capabilities:
    pool = Pool(context)

    async def check_health() -> Health:
        try:
            return await _health(pool)
        except Unreachable as error:
            return Health(ok=False, problem=error.problem)

    return Capabilities(
        webhook=Bounces(context) if context.settings.bounce_tokens else None,
        channels=(EmailChannel(context, pool),),
        check_health=check_health,
    )


async def _health(pool: Pool) -> Health:
    """Whether the server lets us in now; a connection that lives on since yesterday would not tell."""
    deadline = asyncio.get_running_loop().time() + BATCH
    link = await pool.opened(deadline)
    link.hurry(deadline)
    try:
        code = (await link.ask(b"NOOP")).code
    except TROUBLE as error:
        return Health(ok=False, problem=f"the mail server greets and says no more ({type(error).__name__}): check host")
    finally:
        link.close()
    problem = "" if code == OK else f"the mail server does not want to go on ({code}): check host and username"
    return Health(ok=not problem, problem=problem)
