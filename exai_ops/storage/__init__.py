"""Durable state behind one contract; SQLite is the embedded default."""
