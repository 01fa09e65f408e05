"""The monitor: events, ring buffer, aggregates."""
