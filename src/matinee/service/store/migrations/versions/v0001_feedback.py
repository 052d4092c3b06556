"""Feedback, the requests that were answered, and the keys of cookies."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "matinee_feedback",
        sa.Column("tenant", BYTEWISE, primary_key=True),
        sa.Column("user_id", BYTEWISE, primary_key=True),
        sa.Column("item_id", BYTEWISE, primary_key=True),
        sa.Column("rating", sa.Double),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("kind IN ('rating', 'seen', 'later')", name="matinee_feedback_kind"),
        sa.CheckConstraint(
            "(kind = 'rating') = (rating IS NOT NULL)", name="matinee_feedback_rating"
        ),
    )
    op.create_index(
        "matinee_feedback_newest",
        "matinee_feedback",
        ["tenant", "user_id", "updated_at", "item_id"],
    )
    op.create_table(
        "matinee_requests",
        sa.Column("tenant", BYTEWISE, primary_key=True),
        sa.Column("user_id", BYTEWISE, primary_key=True),
        sa.Column("key", BYTEWISE, primary_key=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("answer", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("matinee_requests_age", "matinee_requests", ["created_at"])
    op.create_table(
        "matinee_secrets",
        sa.Column("tenant", BYTEWISE, primary_key=True),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
