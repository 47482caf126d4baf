"""Run by alembic, always with the connection of our own transaction."""

from alembic import context

from stampcard.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
