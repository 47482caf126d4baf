"""The database: plain synchronous functions over a connection, the same for SQLite and PostgreSQL."""
