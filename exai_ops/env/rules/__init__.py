"""The rules of ``exai env check``."""
