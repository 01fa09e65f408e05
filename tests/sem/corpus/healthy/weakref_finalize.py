"""weakref.finalize of each live image gives its decoder's permit back when the image goes."""

from __future__ import annotations

import asyncio
import sys
import weakref
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Image:
    def __init__(self, name: str) -> None:
        self.name, self.pixels = name, bytearray(64)


class Decoder:
    def __init__(self, buffers: int) -> None:
        self._buffers = asyncio.BoundedSemaphore(buffers)

    async def decode(self, name: str) -> Image:
        await self._buffers.acquire()
        image = Image(name)
        weakref.finalize(image, self._buffers.release)
        return image


async def thumbnail(decoder: Decoder, name: str) -> int:
    image = await decoder.decode(name)
    return len(image.pixels)


async def main() -> None:
    decoder = Decoder(5)
    album = [await decoder.decode(name) for name in ("a.png", "b.png", "c.png")]
    for n in range(10):
        await thumbnail(decoder, f"small-{n}.png")  # its image goes with the frame
    await live(row(decoder._buffers, "Decoder._buffers", 5, "busy", holders=len(album)))


asyncio.run(main())
