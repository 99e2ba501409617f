"""The bearer token that guards routes which make work or reveal what is kept."""

import hmac

from aiohttp import web

from mediasvc.errors import Unauthorized
from mediasvc.server.http.middleware import Handler


def guarded(handler: Handler, token: str) -> Handler:
    """The handler, asked only with the token. token: empty guards nothing. Unauthorized."""
    if not token:
        return handler
    expected = token.encode()

    async def check(request: web.Request) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected)
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthorized("give the API token as `Authorization: Bearer …`")
        return await handler(request)

    return check
