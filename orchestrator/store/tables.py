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
    Table,
    text,
)

from orchestrator.store.words import LongText, ShortText

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
    Column("id", ShortText(32), unique=True, nullable=False),
    Column("owner", ShortText(100), index=True, nullable=False),
    Column("name", ShortText(200), nullable=False),
    Column("profile", ShortText(40), nullable=False),
    Column("token", ShortText(64), nullable=False),
    Column("kernel_id", ShortText(36), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("last_active_at", DateTime, nullable=False),
    Column("egress_bytes_up", BigInteger, nullable=False, server_default="0"),
    Column("egress_bytes_down", BigInteger, nullable=False, server_default="0"),
    # The last message of the branch that is shown; null: there is none yet.
    Column("head", ShortText(32)),
    Column("model", ShortText(200)),
    Column("approval", ShortText(10), nullable=False, server_default="auto"),
    Column("instructions", LongText, nullable=False, server_default=text("''")),
    sqlite_autoincrement=True,
)

# `number` gives the order of messages and of cells. Messages make a tree: those with one parent are branches.
messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", ShortText(32), unique=True, nullable=False),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("parent_id", ShortText(32)),
    Column("role", ShortText(20), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("content", LongText, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("model", ShortText(200)),
    Column("status", ShortText(20), nullable=False),
    Column("parts", JSON, nullable=False),
    Column("problem", JSON),
)

cells = Table(
    "cells",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("cell_id", ShortText(32), unique=True, nullable=False),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("message_id", ShortText(32)),
    Column("code", LongText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("status", ShortText(20), nullable=False),
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
    Column("message_id", ShortText(32), nullable=False),
    Column("text", LongText, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

# One row a reply of a model. It outlives the sessions it speaks of: quotas by day are counted from it.
model_usage = Table(
    "model_usage",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False),
    Column("user_id", ShortText(100), nullable=False),
    Column("session_id", ShortText(32), index=True, nullable=False),
    Column("model", ShortText(200), nullable=False),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("cost", Float, nullable=False),
    Index("ix_model_usage_user_id", "user_id", "at"),
)

user_settings = Table(
    "user_settings",
    metadata,
    Column("user_id", ShortText(100), primary_key=True),
    Column("settings", JSON, nullable=False),
)

# Keys that people brought for a provider, sealed with the key file of the data folder.
user_keys = Table(
    "user_keys",
    metadata,
    Column("user_id", ShortText(100), primary_key=True),
    Column("provider", ShortText(40), primary_key=True),
    Column("sealed", LongText, nullable=False),
    Column("hint", ShortText(20), nullable=False),
    Column("created_at", DateTime, nullable=False),
)

# Append-only: the migration that makes it has triggers refuse anything else. It outlives the sessions it speaks of.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False),
    Column("user", ShortText(100), nullable=False),
    Column("session_id", ShortText(64), index=True),
    Column("action", ShortText(40), nullable=False),
    Column("decision", ShortText(20), nullable=False),
    Column("subject", ShortText(300), nullable=False),
    Column("detail", ShortText(500), nullable=False),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("id", ShortText(32), primary_key=True),
    Column("name", ShortText(60), unique=True, nullable=False),
    Column("role", ShortText(20), nullable=False),
    Column("password_hash", ShortText(200)),
    Column("created_at", DateTime, nullable=False),
    Column("disabled_at", DateTime),
    # Issuer and subject, of who comes in by OpenID Connect: names can change there, and be given to somebody else.
    Column("subject", ShortText(500), unique=True, index=True),
)

# API tokens and logins of browsers, told apart by `kind`; what is kept proves a secret and is none.
user_secrets = Table(
    "user_secrets",
    metadata,
    Column("id", ShortText(16), primary_key=True),
    Column("kind", ShortText(10), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), index=True, nullable=False),
    Column("name", ShortText(100), nullable=False),
    Column("secret_hash", ShortText(64), nullable=False),
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
