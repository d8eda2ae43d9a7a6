"""The OpenAPI document, and Swagger UI over it with assets of this process: GPU boxes are often offline."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import PathParameter
from litestar.response import Redirect

from contracts.problems import Refused
from services.edge.answers import Json
from services.edge.context import AnyRequest
from services.edge.document import document

_PAGE = b"""<!DOCTYPE html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TrainLedger API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
});
"""
# The page fetches nothing from elsewhere and may be framed by nobody; Swagger UI styles elements and inlines images.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


@get("/", include_in_schema=False)
async def root() -> Redirect:
    return Redirect("/docs")


@get("/openapi.json", include_in_schema=False)
async def openapi_document(request: AnyRequest) -> Response[bytes]:
    return Json(document(request.app))


@get("/docs", include_in_schema=False)
async def docs() -> Response[bytes]:
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)


@get("/docs/{asset:str}", include_in_schema=False)
async def docs_asset(asset: Annotated[str, PathParameter()]) -> Response[bytes]:
    if asset == "start.js":
        return Response(_START, media_type="text/javascript", headers=_HEADERS)
    if asset not in _ASSETS:
        raise Refused("not_found")
    content = await asyncio.to_thread(_read_asset, asset)
    return Response(content, media_type=_ASSETS[asset], headers=_HEADERS | {"Cache-Control": "max-age=86400"})


ROUTES: list[Any] = [root, openapi_document, docs, docs_asset]


def _read_asset(name: str) -> bytes:
    # The wheel carries the files of swagger-ui-dist beside a Flask blueprint. Only the files are wanted, so neither
    # that package nor Flask is imported.
    found = find_spec("flask_swagger_ui")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("dist").joinpath(name).read_bytes()
