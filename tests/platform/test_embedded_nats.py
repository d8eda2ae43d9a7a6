"""The embedded server: whom it lets in, what a service may not do, and how a server left behind is known."""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import nkeys
import pytest
from nats.js.api import StreamConfig

from services.runtime import wiring
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.nkey import InvalidSeed, UserKey
from services.runtime.nats.users import ADMIN, SERVICE
from services.runtime.settings import SettingRefused, Settings, load
from tests.nats_server import nats_program
from tests.platform.serving import until
from tests.ports import free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    embedded = EmbeddedNats(tmp_path, free_port())
    embedded.start()
    until(embedded.answers, "an answer")
    yield embedded
    embedded.stop()


@pytest.fixture
def settings(server: EmbeddedNats, tmp_path: Path) -> Settings:
    return load({"TRAINLEDGER_DATA_DIR": str(tmp_path)})


def test_seeds_are_what_other_clients_understand() -> None:
    key = UserKey.new()
    theirs = nkeys.from_seed(bytearray(key.seed.encode()))
    assert theirs.public_key.decode() == key.public == UserKey.from_seed(key.seed).public


@pytest.mark.parametrize(
    "seed", ["", "SU", "not base32!", "SUANA7PMT63DZAQSKNY2SDJECHW3JBQVYP7WBNAJFBCO4EF7HXM54AP5IA"]
)
def test_a_seed_that_is_none_is_refused_without_telling_it(seed: str) -> None:
    with pytest.raises(InvalidSeed) as refused:
        UserKey.from_seed(seed)
    assert not seed or seed not in str(refused.value)


async def test_a_client_with_a_seed_gets_in(server: EmbeddedNats) -> None:
    assert server.url is not None
    nc = await nats.connect(server.url, nkeys_seed=str(server.users.seed_file(SERVICE)))
    await nc.close()


@pytest.mark.parametrize("claims", ["{}", '{"user": "service", "pass": "service"}', '{"nkey": "%s", "sig": "c2ln"}'])
def test_nobody_gets_in_without(server: EmbeddedNats, claims: str) -> None:
    service = next(user for user in server.users.all() if user.name == SERVICE)
    greeting = f"CONNECT {claims.replace('%s', service.nkey)}\r\nPING\r\n"
    with socket.create_connection(("127.0.0.1", int(str(server.url).rpartition(":")[2])), timeout=60) as connection:
        connection.sendall(greeting.encode())
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"-ERR 'Authorization Violation'" in said
    assert b"PONG" not in said


async def test_only_the_administrator_changes_streams(settings: Settings) -> None:
    api = "$JS.API.STREAM."
    changes = ("CREATE.T", "UPDATE.S", "PURGE.S", "MSG.DELETE.S", "DELETE.S", "RESTORE.S", "SNAPSHOT.S")
    async with wiring.bus(settings, "admin", admin=True) as admin:
        await admin.jetstream().add_stream(StreamConfig(name="S", subjects=["s.>"]))
        async with wiring.bus(settings, "service") as service:
            assert (await service.jetstream().publish("s.1", b"x")).seq == 1
            answers = await asyncio.gather(
                *(service.request(api + change, b"{}", timeout=0.3) for change in changes), return_exceptions=True
            )
        assert [type(answer) for answer in answers] == [nats.errors.TimeoutError] * len(changes)
        assert (await admin.jetstream().stream_info("S")).state.messages == 1


async def test_a_user_is_added_while_the_server_runs(server: EmbeddedNats) -> None:
    assert server.url is not None
    seed_file = server.users.put("visitor", server.users.all()[0].permissions)
    assert stat.S_IMODE(seed_file.stat().st_mode) == 0o600
    assert EmbeddedNats(server.directory.parent).reload()
    nc = await nats.connect(server.url, nkeys_seed=str(seed_file), reconnect_time_wait=0, error_cb=_quiet)
    await nc.close()


def test_credentials_and_port_last_longer_than_the_server(server: EmbeddedNats, tmp_path: Path) -> None:
    before = (server.url, server.users.seed_file(ADMIN).read_text())
    server.stop()
    later = EmbeddedNats(tmp_path)
    later.start()
    try:
        until(later.answers, "an answer")
        assert (later.url, later.users.seed_file(ADMIN).read_text()) == before
    finally:
        later.stop()


def test_a_server_left_behind_is_found_and_no_other_touched(server: EmbeddedNats, tmp_path: Path) -> None:
    foreign = subprocess.Popen(
        [nats_program(), "--addr", "127.0.0.1", "--port", str(free_port()), "--pid", "/dev/null"]
    )
    try:
        (server.directory / "nats-server.pid").write_text(str(foreign.pid))  # a recycled pid
        assert len(EmbeddedNats(tmp_path).end_left_behind()) == 1
        assert server.exit_code() is not None
        assert foreign.poll() is None
    finally:
        foreign.terminate()
        foreign.wait()


def test_a_foreign_server_on_our_port_is_not_believed(server: EmbeddedNats, tmp_path: Path) -> None:
    other = EmbeddedNats(tmp_path / "other")
    other.directory.mkdir(parents=True)
    shutil.copy(server.directory / "port", other.directory / "port")
    assert server.answers()
    assert not other.answers()


def test_a_taken_port_is_named_where_it_was_asked_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SettingRefused, match=f"Port {port} .* TRAINLEDGER_NATS_PORT"):
            EmbeddedNats(tmp_path, port).start()


def test_the_port_of_http_is_left_to_it(server: EmbeddedNats, tmp_path: Path) -> None:
    remembered = int(str(server.url).rpartition(":")[2])
    server.stop()
    with pytest.raises(SettingRefused, match=f"Port {remembered} cannot serve both .* TRAINLEDGER_NATS_PORT"):
        EmbeddedNats(tmp_path, remembered, http_port=remembered).start()
    later = EmbeddedNats(tmp_path, http_port=remembered)
    later.start()
    try:
        until(later.answers, "an answer")
        assert later.url != f"nats://127.0.0.1:{remembered}"
    finally:
        later.stop()


async def test_what_cannot_be_reached_or_let_in_is_one_sentence(server: EmbeddedNats, tmp_path: Path) -> None:
    nowhere = load({"NATS_URL": f"nats://u:secret@127.0.0.1:{free_port()}"})
    with pytest.raises(wiring.NotReachable, match="NATS_URL: nothing answers at") as missing:
        async with wiring.bus(nowhere, "test", patience=0.5):
            pass
    assert "secret" not in str(missing.value)

    seed_file = tmp_path / "wrong.nk"
    seed_file.write_text(UserKey.new().seed)
    stranger = load({"NATS_URL": str(server.url), "TRAINLEDGER_NATS_CREDENTIALS": str(seed_file)})
    with pytest.raises(SettingRefused, match="does not let"):
        async with wiring.bus(stranger, "test"):
            pass


async def _quiet(_: Exception) -> None:
    """nats-py prints errors otherwise."""
