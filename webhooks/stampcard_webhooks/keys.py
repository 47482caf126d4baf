from __future__ import annotations

from aiohttp import web

from stampcard.app import Application

#: Where handlers find the running application.
APPLICATION = web.AppKey("application", Application)
