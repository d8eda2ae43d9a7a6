"""Users of the embedded NATS server: name, public key and permissions in a file each, their seeds beside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from events.tokens import Role
from services.runtime.durable_files import write_durably

ADMIN, SERVICE = "admin", "service"
# What could destroy or rewrite history; creating belongs to the administrator too, who does it before services start.
_STREAM_CHANGES = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "RESTORE", "SNAPSHOT", "LEADER", "PEER")


class Subjects(msgspec.Struct, frozen=True, omit_defaults=True):
    """Subjects with wildcards. Nothing denied wins over nothing allowed: an empty `allow` is everything."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Permissions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user may publish and subscribe to, in the words of the server's configuration."""

    publish: Subjects = Subjects()
    subscribe: Subjects = Subjects()
    allow_responses: bool = False


class NatsUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """`role` is what the user's commands may do; none of the built-in users, who send none."""

    name: str
    nkey: str
    permissions: Permissions
    role: Role | None = None


BUILT_IN = {
    ADMIN: Permissions(),
    SERVICE: Permissions(
        publish=Subjects(allow=(">",), deny=tuple(f"$JS.API.STREAM.{change}.>" for change in _STREAM_CHANGES)),
    ),
}


class NatsUsers:
    """The users under `<data>/nats`: `users/<name>.json` is public, `credentials/<name>.nk` is the seed (mode 0600)."""

    def __init__(self, nats_dir: Path) -> None:
        self._users = nats_dir / "users"
        self._credentials = nats_dir / "credentials"

    def seed_file(self, name: str) -> Path:
        return self._credentials / f"{name}.nk"

    def ensure_built_in(self) -> None:
        """Makes the administrator and the service at the first start, and gives them today's permissions at any."""
        for name, permissions in BUILT_IN.items():
            self.put(name, permissions)

    def put(self, name: str, permissions: Permissions, role: Role | None = None) -> Path:
        """Adds a user, or changes the permissions and role of one that is there, and returns the path of the seed.

        ValueError: the name is not one token of letters, digits, `-` and `_`.
        """
        from services.runtime.nats.nkey import InvalidSeed, UserKey

        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise ValueError("a user's name has 1 to 64 letters, digits, hyphens and underscores")
        for directory in (self._users, self._credentials):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        seed_file = self.seed_file(name)
        try:
            key = UserKey.from_file(seed_file)
        except (FileNotFoundError, InvalidSeed):
            key = UserKey.new()
            write_durably(seed_file, f"{key.seed}\n".encode(), mode=0o600)
        user = NatsUser(name, key.public, permissions, role)
        write_durably(self._users / f"{name}.json", msgspec.json.encode(user) + b"\n", mode=0o600)
        return seed_file

    def remove(self, name: str) -> bool:
        """Whether there was such a user. The built-in ones stay (ValueError)."""
        if name in BUILT_IN:
            raise ValueError(f"the user {name} is the service's own")
        found = any(user.name == name for user in self.all())
        if found:
            self.seed_file(name).unlink(missing_ok=True)
            (self._users / f"{name}.json").unlink()
        return found

    def all(self) -> Sequence[NatsUser]:
        """Every user, by name."""
        return [msgspec.json.decode(path.read_bytes(), type=NatsUser) for path in sorted(self._users.glob("*.json"))]
