"""Runs a store's migrations in the transaction that `doctrail_core.durable.postgres` began for them."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
namespace = context.config.attributes["namespace"]
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {namespace}"))
context.configure(connection=connection, version_table_schema=namespace)
with context.begin_transaction():
    context.run_migrations()
