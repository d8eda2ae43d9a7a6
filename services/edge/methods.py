"""Which methods an address answers to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from litestar import HttpMethod, Response
from litestar.handlers import HTTPRouteHandler


def allow(methods: Iterable[str]) -> str:
    """The value of the header `Allow`: whatever answers GET answers HEAD too."""
    found = {*methods, "OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def options_for(routes: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Handlers of OPTIONS for the addresses that have none of their own.

    To be registered before them: Litestar 2 adds one of its own to the first route of an address, which names only that
    one's methods.
    """
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes:
        for path in route.paths:
            methods[path] |= route.http_methods
    return [_telling(path, allow(found)) for path, found in methods.items() if "OPTIONS" not in found]


def _telling(path: str, allowed: str) -> HTTPRouteHandler:
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return HTTPRouteHandler(path, http_method=[HttpMethod.OPTIONS], include_in_schema=False)(options)
