"""Semaphores of a live process, found and explained from its memory alone."""
