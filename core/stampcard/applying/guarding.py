"""What time changes for one member, kept apart from the others: one member's trouble is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from stampcard.errors import told

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

log = structlog.get_logger()


def guarded(unit: Unit, member: str, what: str, work: Callable[[str], None]) -> None:
    """Do the work for a member, or nothing of it where it fails; only the database's trouble is everybody's."""
    checkpoint = unit.checkpoint()
    try:
        work(member)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - one member's trouble is not that of the others
        unit.restore(checkpoint)
        log.error(what, member=member, error=told(error))
