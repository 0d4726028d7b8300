"""What outlives every process: sessions, cells and messages in a database (SQLite by default)."""
