from __future__ import annotations

from aiohttp import web

from stampcard.app import Application
from stampcard_webhooks.authorising import Authorising

#: Where handlers find the running application.
APPLICATION = web.AppKey("application", Application)
#: Where they find who looks at keys.
AUTHORISING = web.AppKey("authorising", Authorising)
