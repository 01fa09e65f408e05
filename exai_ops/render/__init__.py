"""Findings as text, short, JSON."""
