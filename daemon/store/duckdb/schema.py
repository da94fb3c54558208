"""The tables of the embedded store, derived from the event contract, and how an older file becomes a current one."""

from typing import Any

from daemon.errors import StoreError
from recognizer.mapping import Column, Kind, columns

LAYOUT_VERSION = 1
"""Version of the tables themselves. New fields of the event contract need no new version: they are added."""

_TYPES = {Kind.TEXT: "VARCHAR", Kind.INTEGER: "BIGINT", Kind.NUMBER: "DOUBLE", Kind.BOOLEAN: "BOOLEAN"}

EXTRA = "extra"
"""The fields the contract does not name, as the text of a JSON object; NULL when there are none."""


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def sql_type(column: Column) -> str:
    """A field's type in SQL."""
    return _TYPES[column.kind] + ("[]" if column.is_list else "")


def sql_types() -> dict[str, str]:
    """Column name to type, ``extra`` included."""
    return {name: sql_type(column) for name, column in columns().items()} | {EXTRA: "VARCHAR"}


def prepare(cursor: Any) -> None:
    """Makes the tables, or adds what an older file lacks, in one transaction.

    Raises StoreError when the file comes from a newer version or a column holds something else than it should.
    """
    wanted = sql_types()
    cursor.execute("BEGIN TRANSACTION")
    cursor.execute(f"CREATE TABLE IF NOT EXISTS events ({', '.join(f'{quoted(n)} {t}' for n, t in wanted.items())})")
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS checkpoints (identity VARCHAR PRIMARY KEY, path VARCHAR, position BIGINT)"
    )
    cursor.execute("CREATE TABLE IF NOT EXISTS layout (version BIGINT, folded BIGINT)")
    _check_version(cursor)
    present = dict(
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'events'"
        ).fetchall()
    )
    for name, type_ in wanted.items():
        if name not in present:
            cursor.execute(f"ALTER TABLE events ADD COLUMN {quoted(name)} {type_}")
        elif present[name] != type_:
            raise StoreError(
                f"the event file holds {name} as {present[name]}, this version needs {type_}",
                hint="set the file aside; a new one is made at the next start",
            )
    cursor.execute("COMMIT")


def _check_version(cursor: Any) -> None:
    row = cursor.execute("SELECT max(version) FROM layout").fetchone()
    if row[0] is None:
        cursor.execute("INSERT INTO layout VALUES (?, 0)", [LAYOUT_VERSION])
    elif row[0] > LAYOUT_VERSION:
        raise StoreError(
            f"the event file was written by a newer version of wumu (layout {row[0]}, this one knows {LAYOUT_VERSION})",
            hint="install the newer version, or set the file aside",
        )
