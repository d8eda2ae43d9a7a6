"""Who is answered: hosts, origins, tokens, roles."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.problems import Refused
from contracts.tokens import IssueToken, RevokeToken
from events.event import Origin
from events.tokens import Role
from services.edge.app import create_app
from services.edge.auth import Authenticator, Tokens
from services.edge.hosts import HostGuard
from services.runtime.addresses import is_loopback
from services.runtime.dispatch import Dispatch
from tests.edge.conftest import QWEN, World, eventually


def _origin() -> Origin:
    return Origin(actor="service:test", command_id=uuid4())


async def issue(world: World, owner: str, role: Role, secret: str, *, may_reveal: bool = False) -> UUID:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    command = IssueToken(owner=owner, role=role, digest=digest, may_reveal=may_reveal)
    accepted = await Dispatch(world.parts.sources)(command, _origin())
    return accepted.aggregate_id


@contextlib.asynccontextmanager
async def tokens_of(world: World) -> AsyncIterator[Tokens]:
    tokens = Tokens(world.parts.log)
    await tokens.start()
    yield tokens
    await tokens.stop()


@contextlib.asynccontextmanager
async def guarded(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The same ledger as a server on every address shows it."""
    async with tokens_of(world) as tokens:
        app = create_app(world.parts.edge, Authenticator(tokens, world.parts.people, required=True), hosts=None)
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger.example") as http:
            yield http


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_without_a_token_nobody_is_served(world: World) -> None:
    async with guarded(world) as http:
        answer = await http.get("/projects")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert (await http.post("/projects", json=QWEN, headers={"X-Actor": "root"})).status_code == 401
        assert (await http.get("/healthz", headers=bearer("wrong"))).status_code == 200
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/docs/swagger-ui.css"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/docsx")).status_code == 401


async def test_roles(world: World) -> None:
    roles: dict[str, Role] = {"rita": "reader", "otto": "operator", "anna": "admin"}
    for name, role in roles.items():
        await issue(world, name, role, f"secret-{role}")
    async with guarded(world) as http:
        assert (await http.get("/projects", headers=bearer("secret-reader"))).status_code == 200
        refused = await http.post("/projects", json=QWEN, headers=bearer("secret-reader") | {"Accept-Language": "en"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert "operator" in refused.json()["detail"]
        assert (await http.post("/projects", json=QWEN, headers=bearer("secret-operator"))).status_code == 201
        assert (await http.post("/projects/qwen-finetune/archive", headers=bearer("secret-admin"))).status_code == 200


async def test_the_owner_of_a_token_is_the_actor(world: World) -> None:
    await issue(world, "otto", "operator", "secret")
    async with guarded(world) as http:
        headers = bearer("secret") | {"X-Actor": "mallory", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        created = await http.post("/projects", json=QWEN, headers=headers)
    [recorded] = await world.parts.log.read("projects", UUID(created.json()["id"]))
    assert world.parts.people.name_of(UUID(recorded.meta.origin.actor)) == "otto"
    assert recorded.meta.origin.traceparent == headers["traceparent"]
    assert recorded.meta.origin.correlation_id == created.headers["x-request-id"]


async def test_a_token_issued_or_revoked_elsewhere_becomes_known(world: World) -> None:
    async with tokens_of(world) as tokens:

        async def known() -> bool:
            return tokens.owner_of("secret") is not None

        async def none_left() -> bool:
            return not tokens.any_active

        assert not tokens.any_active
        token_id = await issue(world, "otto", "operator", "secret")
        await eventually(known)
        assert tokens.owner_of("other") is None
        await Dispatch(world.parts.sources)(RevokeToken(token_id=token_id), _origin())
        await eventually(none_left)
    async with guarded(world) as http:
        assert (await http.get("/projects", headers=bearer("secret"))).status_code == 401


async def test_a_wrong_token_is_told_on_loopback_too(http: httpx.AsyncClient) -> None:
    for authorization in ("Bearer wrong", "Basic eDp5", "Bearer", "wrong", "Bearer é"):
        answer = await http.get("/projects", headers={b"Authorization": authorization.encode()})
        assert answer.status_code == 401


async def test_the_actor_on_loopback(http: httpx.AsyncClient, world: World) -> None:
    for header, name in ((None, "local"), ("alice", "alice"), ("小王".encode(), "小王"), (" ", "local")):
        headers = {} if header is None else {b"X-Actor": header}
        created = await http.post("/projects", json=QWEN | {"name": f"of {name} {header!r}"}, headers=headers)  # type: ignore[arg-type]
        [recorded] = await world.parts.log.read("projects", UUID(created.json()["id"]))
        assert world.parts.people.name_of(UUID(recorded.meta.origin.actor)) == name


async def test_a_read_enters_nobody_in_the_directory(http: httpx.AsyncClient, world: World) -> None:
    await http.get("/projects", headers={"X-Actor": "passer-by"})
    assert await world.parts.people.find("passer-by") is None


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        ("localhost:8000", None, True),
        ("127.0.0.1:8000", None, True),
        ("[::1]:8000", None, True),
        ("[::1]", None, True),
        ("LOCALHOST", None, True),
        ("localhost:9000", None, True),
        ("localhost:8000", "http://localhost:8000", True),
        ("box.lan:8000", None, True),
        ("localhost:8000", "https://ledger.example", True),
        ("evil.example", None, False),
        ("evil.example:8000", None, False),
        ("localhost.evil.example:8000", None, False),
        ("127.0.0.1.nip.io", None, False),
        ("localhost:8000@evil.example", None, False),
        ("169.254.169.254", None, False),
        (None, None, False),
        ("", None, False),
        ("localhost:8000", "http://evil.example", False),
        ("localhost:8000", "http://localhost:3000", False),
        ("localhost:8000", "http://127.0.0.1:8000", False),
        ("localhost:8000", "null", False),
        ("localhost:8000", "file://", False),
        ("localhost:8000", "chrome-extension://localhost:8000", False),
    ],
)
def test_hosts_and_origins(host: str | None, origin: str | None, answered: bool) -> None:
    guard = HostGuard(("box.lan", "ledger.example"))
    pair = (None if host is None else host.encode(), None if origin is None else origin.encode())
    if answered:
        guard.check(*pair)
    else:
        with pytest.raises(Refused) as refused:
            guard.check(*pair)
        assert (refused.value.code, refused.value.status) == ("foreign_host", 403)


@pytest.mark.parametrize(("bound", "host"), [("127.0.0.2", "127.0.0.2:8000"), ("0:0::1", "[0:0::1]:8000")])
def test_the_address_that_is_listened_on_is_answered_for(bound: str, host: str) -> None:
    guard = HostGuard(bound=bound)
    guard.check(host.encode(), None)
    guard.check(host.encode(), f"http://{host}".encode())
    with pytest.raises(Refused):
        HostGuard().check(host.encode(), None)
    with pytest.raises(Refused):
        guard.check(b"localhost:8000", f"http://{host}".encode())


async def test_a_foreign_host_changes_nothing(http: httpx.AsyncClient, world: World) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        answer = await http.post("/projects", json=QWEN, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")
    assert await world.parts.log.last_position() == 0


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.4", False), ("box.lan", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
