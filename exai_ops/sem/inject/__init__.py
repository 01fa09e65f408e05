"""Looking at semaphores from within their process, in a thread of its own there: only with leave."""
