from __future__ import annotations

from aiohttp import web

from stampcard.app import Application
from stampcard_webhooks.authorising import Authorising
from stampcard_webhooks.identifying import Identifying
from stampcard_webhooks.wellbeing import Wellbeing

#: Where handlers find the running application.
APPLICATION = web.AppKey("application", Application)
#: Where they find who looks at keys.
AUTHORISING = web.AppKey("authorising", Authorising)
#: Where they find out which shopper asks.
IDENTIFYING = web.AppKey("identifying", Identifying)
#: Where they find what connections said of themselves.
WELLBEING = web.AppKey("wellbeing", Wellbeing)
