"""Conversations as notebooks."""
