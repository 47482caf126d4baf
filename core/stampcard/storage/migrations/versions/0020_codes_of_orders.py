"""No codes in clear on orders: new ones are kept as fingerprints, and of those of before nothing is looked for any more"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

CHUNK = 500


def upgrade() -> None:
    connection = op.get_bind()
    _clear(connection, "order_state", ("merchant", "source", "reference"), "state")
    _clear(connection, "event", ("merchant", "id"), "body")


def _clear(connection: sa.Connection, name: str, keys: tuple[str, ...], column: str) -> None:
    table = sa.table(name, *(sa.column(of) for of in (*keys, column)))
    place = sa.tuple_(*(table.c[of] for of in keys))
    known = sa.and_(*(table.c[of] == sa.bindparam(f"the_{of}") for of in keys))
    with_codes = sa.or_(table.c[column].like('%"codes":%'), table.c[column].like('%"former_codes":%'))
    wanted = sa.select(*(table.c[of] for of in (*keys, column))).where(with_codes).order_by(*keys).limit(CHUNK)
    after: tuple[Any, ...] = ()
    while rows := connection.execute(wanted.where(place > after) if after else wanted).all():
        after = tuple(rows[-1][:-1])
        values = [
            {**{f"the_{of}": value for of, value in zip(keys, row[:-1], strict=True)}, column: _without(row[-1])}
            for row in rows
        ]
        connection.execute(sa.update(table).where(known), values)


def _without(text: str) -> str:
    """An order, or what was told of one, without its codes; sums of money are text in it, so nothing is rounded."""
    told = json.loads(text)
    told.pop("former_codes", None)
    (told.get("snapshot") or {}).pop("codes", None)
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
