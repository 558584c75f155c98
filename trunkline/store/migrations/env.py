"""What Alembic runs: the steps, on the connection that `schema.upgrade` hands over."""

from alembic import context

from trunkline.store.schema import VERSION_TABLE
from trunkline.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
