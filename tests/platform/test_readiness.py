"""Readiness is asked of the edge that was started, whoever else answers on its port."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from services.serve.readiness import is_ready
from tests.ports import free_port


class Answers(BaseHTTPRequestHandler):
    status = 200
    body = b"{}"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """An edge, as far as this is concerned, in this very process."""

    class Own(Answers):
        pass

    with HTTPServer(("127.0.0.1", 0), Own) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_only_the_edge_that_was_started_is_ready(server: HTTPServer) -> None:
    assert is_ready("127.0.0.1", server.server_port, os.getpid())
    assert is_ready("0.0.0.0", server.server_port, os.getpid())
    assert not is_ready("127.0.0.1", server.server_port, os.getppid())
    assert not is_ready("127.0.0.1", free_port(), os.getpid())


@pytest.mark.parametrize(("body", "ready"), [(b'{"pointer":"/bus"}', True), (b'{"pointer":"/database"}', False)])
def test_an_edge_without_its_tables_is_not_ready(server: HTTPServer, body: bytes, ready: bool) -> None:
    handler = server.RequestHandlerClass
    handler.status, handler.body = 503, body  # type: ignore[attr-defined]
    assert is_ready("127.0.0.1", server.server_port, os.getpid()) is ready
