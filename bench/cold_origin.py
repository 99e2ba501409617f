"""The origin of bench/cold.py: every path has a picture with bytes of its own, made from one base in microseconds."""

import asyncio
import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.pictures import photograph

ROWS: dict[str, tuple[str, str, tuple[int, int]]] = {
    "jpeg-3000": ("JPEG 3000x2000", "JPEG", (3000, 2000)),
    "jpeg-1280": ("JPEG 1280x853", "JPEG", (1280, 853)),
    "jpeg-24mp": ("JPEG 24 MP", "JPEG", (6000, 4000)),
    "png-1600": ("PNG 1600x1200", "PNG", (1600, 1200)),
    "webp-1200": ("WebP 1200x800", "WEBP", (1200, 800)),
}


def base_pictures() -> dict[str, bytes]:
    """One encoded picture for each row, as cameras and editors write them."""
    pictures = {}
    for key, (_, form, size) in ROWS.items():
        out = io.BytesIO()
        picture: Image.Image = photograph(*size)
        picture.save(out, form, quality=90 if form == "JPEG" else 85)
        pictures[key] = out.getvalue()
    return pictures


def marked(form: str, data: bytes, mark: bytes, size: tuple[int, int]) -> bytes:
    """The same picture with a remark in it: other bytes, so that no service can know it from before."""
    match form:
        case "JPEG":
            return data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(mark)) + mark + data[2:]
        case "PNG":
            chunk = b"tEXt" + b"Comment\0" + mark
            text = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
            return data[:33] + text + data[33:]
        case _:
            packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!--" + mark + b"--></x:xmpmeta>"
            head = struct.pack("<II", 0x04, size[0] - 1)[:7] + struct.pack("<I", size[1] - 1)[:3]
            body = b"WEBP" + _riff(b"VP8X", head) + data[12:] + _riff(b"XMP ", packet)
            return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def application(pictures: dict[str, bytes]) -> web.Application:
    """Answers /{row}/{anything} with that row's picture, marked with the whole path; /{row}/stale/… is never fresh."""
    forms: dict[str, Callable[[bytes], bytes]] = {
        key: lambda mark, form=form, key=key, size=size: marked(form, pictures[key], mark, size)  # type: ignore[misc]
        for key, (_, form, size) in ROWS.items()
    }

    async def answer(request: web.Request) -> web.Response:
        row = request.match_info["row"]
        if row not in forms:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "max-age=86400", "ETag": f'"{zlib.crc32(request.path.encode()):x}"'}
        if request.match_info["name"].startswith("stale/"):
            headers["Cache-Control"] = "max-age=0"
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=forms[row](request.path.encode()),
            content_type=f"image/{ROWS[row][1].lower()}",
            headers=headers,
        )

    app = web.Application()
    app.router.add_get("/{row}/{name:.+}", answer)
    return app


async def main() -> None:
    """Print the port and serve until standard input ends."""
    runner = web.AppRunner(application(base_pictures()), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
