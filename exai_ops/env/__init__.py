"""Dotenv files: a lossless model, what each reader sees, rules, diff, sync."""
