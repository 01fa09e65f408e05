"""The monitor: events, ring buffer, aggregates.

``recorder.Monitor`` records and answers; ``follow`` waits for what comes; ``looplag`` measures the loop.
Nothing is imported here, so that a synchronous program does not pay for asyncio.
"""
