"""Tests of ``exai monitor analyze``."""
