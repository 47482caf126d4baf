"""What all units of work of one merchant share, and how they notice that it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from stampcard.domain.rewards import RewardKind
from stampcard.engine.announcing import Way
from stampcard.engine.versions import Programs
from stampcard.host.contacts import Crm
from stampcard.host.hooks import Hooks
from stampcard.host.passes import PhoneWallet
from stampcard.sealing import Sealer
from stampcard.storage.numbering import Numbering
from stampcard.storage.revising import current


class Stale(Exception):
    """The program or the switches changed since the work was prepared: load them and prepare again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All that units of work of one merchant share.

    `ways`: channel → who sends by it. `public_url`: how the outside reaches us. `matching`: the kinds of verified addresses by which members are found to be one person. `crms`: the connections that
    are to a CRM, `phones` those to a phone's wallet. `targets`: connection → the kinds of state that its sinks take. `plugins`: connection → its plugin. `active`: the
    connections that are neither paused nor ended. `fetching`: those that can fetch a record. `fulfilling`: connection → the kinds of
    reward that it makes real. `coalesce`: how long a push
    waits for a further change; `longest`: for how long at most changes hold it back.
    """

    merchant: str
    sealer: Sealer
    numbering: Numbering
    hooks: Hooks
    programs: Programs
    targets: Mapping[str, tuple[str, ...]]
    plugins: Mapping[str, str]
    active: frozenset[str]
    fetching: frozenset[str]
    fulfilling: Mapping[str, frozenset[RewardKind]]
    coalesce: timedelta
    longest: timedelta
    matching: frozenset[str] = frozenset()
    ways: Mapping[str, tuple[Way, ...]] = field(default_factory=dict)
    public_url: str = ""
    crms: Mapping[str, Crm] = field(default_factory=dict)
    phones: Mapping[str, PhoneWallet] = field(default_factory=dict)


def check_revision(connection: Connection, setting: Setting) -> None:
    """Raise Stale if the program or the switches are newer than what this process has loaded."""
    if current(connection, setting.merchant) != setting.programs.revision:
        raise Stale
