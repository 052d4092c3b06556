"""The tables of a store, as the newest migration leaves them.

Times are microseconds since 1970: the same in every database, and exact in cursors.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()
VERSION_TABLE = "matinee_version"  # where Alembic keeps which migrations were made
# compared byte by byte everywhere, whatever the language of the database
BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")

feedback = Table(
    "matinee_feedback",
    metadata,
    Column("tenant", BYTEWISE, primary_key=True),
    Column("user_id", BYTEWISE, primary_key=True),
    Column("item_id", BYTEWISE, primary_key=True),
    Column("rating", Double),
    Column("kind", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('rating', 'seen', 'later')", name="matinee_feedback_kind"),
    CheckConstraint("(kind = 'rating') = (rating IS NOT NULL)", name="matinee_feedback_rating"),
    # the order of a user's list
    Index("matinee_feedback_newest", "tenant", "user_id", "updated_at", "item_id"),
)
"""One row for each item of which a user has told something."""

requests = Table(
    "matinee_requests",
    metadata,
    Column("tenant", BYTEWISE, primary_key=True),
    Column("user_id", BYTEWISE, primary_key=True),
    Column("key", BYTEWISE, primary_key=True),
    Column("request", Text, nullable=False),
    Column("answer", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("matinee_requests_age", "created_at"),
)
"""Requests with an idempotency key and what they were answered, for a day."""

secrets = Table(
    "matinee_secrets",
    metadata,
    Column("tenant", BYTEWISE, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)
"""The key by which the cookies of a tenant's page are signed."""
