"""A store's tables, brought up to date when it is opened."""

import threading

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from matinee.errors import StoreError
from matinee.service.store.schema import VERSION_TABLE

SCRIPTS = "matinee.service.store:migrations"
LOCK = int.from_bytes(b"matinee", "big")  # of PostgreSQL: whoever migrates is alone
_alembic = threading.Lock()  # its context is one for the whole process


def upgrade(connection: Connection, name: str) -> None:
    """Make the migrations that are missing; StoreError if these are not our tables, or newer.

    The connection is in a transaction that writes, so this happens whole or not at all.
    """
    _check_database(connection, name)
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    options = {"version_table": VERSION_TABLE}
    there = set(MigrationContext.configure(connection, opts=options).get_current_heads())
    if there - {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(f"{name}: the store is of a newer version of matinee; install that one.")
    if there != set(scripts.get_heads()):
        with _alembic:
            command.upgrade(config, "head")


def _check_database(connection: Connection, name: str) -> None:
    """Refuse another program's SQLite file; PostgreSQL may hold other tables beside ours."""
    if connection.dialect.name == "sqlite":
        tables = inspect(connection).get_table_names()
        if tables and VERSION_TABLE not in tables:
            raise StoreError(f"{name}: this is a database of another program; choose another file.")
        return
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise StoreError(
            f"{name}: the database must be in UTF8, this one is in {encoding}; make another with "
            "createdb --encoding=UTF8 --template=template0."
        )
