"""Fixtures that more than one part of the suite needs."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from tests.nats_server import NatsServer

# The same examples each time, so that what fails fails for everybody, and no findings of a busy machine.
# `make test ARGS=--hypothesis-profile=default` makes up new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What it makes stays, so no search for garbage looks there: not meanwhile, a fifth of the time, nor ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests begin first, so that nobody waits for the last one alone.

    What takes minutes runs only where it is asked for: by `make chaos`, or by `-m long`.
    """
    slow = {item.path for item in items if any(item.get_closest_marker(marker) for marker in ("slow", "chaos"))}
    items.sort(key=lambda item: item.path not in slow)
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)


@pytest.fixture
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server of one test, to be killed and started again as it likes.

    It takes 30 ms. A stream that is deleted and made again on one server would take longer, and its files are removed
    behind its back: sometimes those of the new one.
    """
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url
