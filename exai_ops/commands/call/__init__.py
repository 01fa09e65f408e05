"""``exai call``: a tool of the running daemon, from a shell."""

from exai_ops.commands.call.command import call

__all__ = ["call"]
