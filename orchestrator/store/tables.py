"""The tables. A change here needs a migration in `migrations/versions`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

# Names for constraints, so that migrations can speak of them.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# `number` is never used twice; the uid of the session's sandbox is made from it.
sessions = Table(
    "sessions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), unique=True, nullable=False),
    Column("owner", String(100), index=True, nullable=False),
    Column("name", String(200), nullable=False),
    Column("profile", String(40), nullable=False),
    Column("token", String(64), nullable=False),
    Column("kernel_id", String(36), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("last_active_at", DateTime, nullable=False),
    Column("egress_bytes_up", BigInteger, nullable=False, server_default="0"),
    Column("egress_bytes_down", BigInteger, nullable=False, server_default="0"),
    # The last message of the branch that is shown; null: there is none yet.
    Column("head", String(32)),
    Column("model", String(200)),
    Column("approval", String(10), nullable=False, server_default="auto"),
    Column("instructions", Text, nullable=False, server_default=text("''")),
    sqlite_autoincrement=True,
)

# `number` gives the order of messages and of cells. Messages make a tree: those with one parent are branches.
messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), unique=True, nullable=False),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("parent_id", String(32)),
    Column("role", String(20), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("content", Text, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("model", String(200)),
    Column("status", String(20), nullable=False),
    Column("parts", JSON, nullable=False),
    Column("problem", JSON),
)

cells = Table(
    "cells",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("cell_id", String(32), unique=True, nullable=False),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("message_id", String(32)),
    Column("code", Text, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("status", String(20), nullable=False),
    Column("execution_count", Integer),
    Column("outputs", JSON, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("files", JSON, nullable=False),
)

# What stands for a branch's beginning, up to and with a message, where the whole is too long for a model.
summaries = Table(
    "summaries",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("message_id", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

# One row a reply of a model. It outlives the sessions it speaks of: quotas by day are counted from it, but for replies
# to a key of the person's own. `cost` is null where no price is known.
model_usage = Table(
    "model_usage",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False),
    Column("user_id", String(100), nullable=False),
    Column("session_id", String(32), index=True, nullable=False),
    Column("model", String(200), nullable=False),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("cost", Float),
    Column("own_key", Boolean, nullable=False, server_default=false()),
    Index("ix_model_usage_user_id", "user_id", "at"),
)

user_settings = Table(
    "user_settings",
    metadata,
    Column("user_id", String(100), primary_key=True),
    Column("settings", JSON, nullable=False),
)

# Keys that people brought for a provider, sealed with the key file of the data folder.
user_keys = Table(
    "user_keys",
    metadata,
    Column("user_id", String(100), primary_key=True),
    Column("provider", String(40), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("hint", String(20), nullable=False),
    Column("created_at", DateTime, nullable=False),
)

# Append-only: the migration that makes it has triggers refuse anything else. It outlives the sessions it speaks of.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False),
    Column("user", String(100), nullable=False),
    Column("session_id", String(64), index=True),
    Column("action", String(40), nullable=False),
    Column("decision", String(20), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("detail", String(500), nullable=False),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(60), unique=True, nullable=False),
    Column("role", String(20), nullable=False),
    Column("password_hash", String(200)),
    Column("created_at", DateTime, nullable=False),
    Column("disabled_at", DateTime),
    # Issuer and subject, of who comes in by OpenID Connect: names can change there, and be given to somebody else.
    Column("subject", String(500), unique=True, index=True),
)

# API tokens and logins of browsers, told apart by `kind`; what is kept proves a secret and is none.
user_secrets = Table(
    "user_secrets",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("name", String(100), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("used_at", DateTime),
    Column("expires_at", DateTime),
    Column("revoked_at", DateTime),
)

# A session's readers beside its owner.
session_shares = Table(
    "session_shares",
    metadata,
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("created_at", DateTime, nullable=False),
)
