"""Talking to one kernel through its gateway. Every byte that comes back is hostile until parsed here."""
