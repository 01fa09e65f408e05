"""A simulator on a free port, and a client with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from exai_ops.providers.simulator import SimulatorServer, running_simulator


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    async with running_simulator() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Bearer made-up"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield session
