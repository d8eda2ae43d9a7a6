"""What is no HTTP is refused as everything else is: by a problem."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.problems import Refused
from services.edge.front import request_id_of
from services.edge.problems import MEDIA_TYPE, answer, language_of


class Http(HttpToolsProtocol):
    """The server's protocol; by itself it answers in plain text what its parser cannot read, and closes."""

    def send_400_response(self, msg: str) -> None:
        del msg
        read = dict(self.headers or [])  # as far as it came
        request_id = request_id_of(read.get(b"x-request-id"))
        language = language_of(read.get(b"accept-language", b"").decode("latin-1"))
        told = answer(Refused("invalid_http"), language=language, request_id=request_id, body_limit=0)
        headers = {
            **told.headers,
            "content-type": MEDIA_TYPE,
            "content-length": str(len(told.body)),
            "x-request-id": request_id,
            "connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {told.status} Bad Request\r\n{head}\r\n".encode("latin-1") + told.body)
        self.transport.close()
