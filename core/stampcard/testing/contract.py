"""The contract of a plugin as tests that its author inherits.

::

    class TestTill(PluginContract):
        plugin = stampcard_till
        settings = SETTINGS
        …

Each rule is one method whose first sentence says what it wants. `Case` lists what the author fills in. Nothing needs a
network, a database or an event loop of the author's.
"""

from __future__ import annotations

from stampcard.testing.rules.carrying import CarryingRules
from stampcard.testing.rules.contacting import ContactingRules
from stampcard.testing.rules.decoding import DecodingRules
from stampcard.testing.rules.delivering import DeliveringRules
from stampcard.testing.rules.enlisting import EnlistingRules
from stampcard.testing.rules.fulfilling import FulfillingRules
from stampcard.testing.rules.judging import JudgingRules
from stampcard.testing.rules.keeping import KeepingRules
from stampcard.testing.rules.knowing import KnowingRules
from stampcard.testing.rules.messaging import MessagingRules
from stampcard.testing.rules.naming import NamingRules
from stampcard.testing.rules.recalling import RecallingRules
from stampcard.testing.rules.shopping import ShoppingRules
from stampcard.testing.rules.subscribing import SubscribingRules
from stampcard.testing.rules.verifying import VerifyingRules


class PluginContract(
    NamingRules,
    KeepingRules,
    VerifyingRules,
    DecodingRules,
    DeliveringRules,
    KnowingRules,
    ShoppingRules,
    FulfillingRules,
    JudgingRules,
    SubscribingRules,
    RecallingRules,
    ContactingRules,
    MessagingRules,
    EnlistingRules,
    CarryingRules,
):
    """What every plugin keeps to; inherit it in a class whose name begins with ``Test``."""
