"""The directory of people: names live here and nowhere else, facts carry ids."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from events.log import LogUnavailable
from events.log.streams import PEOPLE
from services.runtime.bucket import Bucket

_ERASED = "erased."


class Person(msgspec.Struct, frozen=True):
    id: UUID
    name: str


class _Erased(msgspec.Struct, frozen=True):
    at: datetime


class People:
    """Ids and names of people, in memory and kept up to date by a watch. Every wait is bounded by `timeout` seconds.

    An entry is written once and never changed. Key: SHA-256 (hex) of the NFC-normalised name. An erased person leaves
    `erased.<id>`, so that watchers learn of it and a restored backup can be cleaned again.
    """

    def __init__(self, nc: Client, *, timeout: float = 5.0) -> None:
        self._bucket = Bucket(nc, PEOPLE, self._changed, timeout=timeout)
        self._by_name: dict[str, Person] = {}
        self._names: dict[UUID, str] = {}
        self._erased: set[UUID] = set()

    async def start(self) -> None:
        """LogUnavailable: the directory could not be read."""
        await self._bucket.start()

    async def stop(self) -> None:
        await self._bucket.stop()

    async def ensure(self, name: str) -> UUID:
        """The id of the person of that name; a new one is entered in the directory. Raises LogUnavailable."""
        name = unicodedata.normalize("NFC", name)
        if (known := self._by_name.get(name)) is not None:
            return known.id
        key, person = _key(name), Person(uuid4(), name)
        if await self._bucket.put(key, msgspec.json.encode(person), expected=0) is not None:
            return person.id
        found = await self._look(key)
        if found is None:
            raise LogUnavailable("the directory of people is changing, ask again")
        return found.id

    def name_of(self, person: UUID) -> str | None:
        """From memory: none for an erased person, and for one whom another process entered a moment ago."""
        return self._names.get(person)

    async def name(self, person: UUID) -> str | None:
        """As `name_of`, but one whom another process entered before this call is found. Raises LogUnavailable."""
        if person not in self._names and person not in self._erased:
            await self._bucket.catch_up()
        return self._names.get(person)

    async def find(self, name: str) -> UUID | None:
        """The id of the person of that name, none where nobody has it. Raises LogUnavailable."""
        name = unicodedata.normalize("NFC", name)
        person = self._by_name.get(name) or await self._look(_key(name))
        return None if person is None else person.id

    async def erase(self, who: UUID | str, admin: JetStreamContext) -> bool:
        """Overwrites and deletes the stored entry of a person (id or name); false where there is none.

        `admin` may delete messages of the bucket's stream, which no running service may. May be repeated.
        """
        if isinstance(who, str):
            found = await self.find(who)
            if found is None:
                return False
            who = found
        await self._bucket.catch_up()
        keys = [_key(person.name) for person in self._by_name.values() if person.id == who]
        # First what everybody learns from, so that a crash here leaves nobody with a name that is to go.
        await self._bucket.put(_ERASED + str(who), msgspec.json.encode(_Erased(datetime.now(UTC))))
        for key in keys:
            await self._delete(key, admin)
        return bool(keys)

    async def _delete(self, key: str, admin: JetStreamContext) -> None:
        stored = await self._bucket.get(key)
        if stored is None:
            return
        try:
            await admin.delete_msg(self._bucket.stream, stored[1])  # with a secure erase: the bytes are overwritten
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        self._bucket.forget(key)

    async def _look(self, key: str) -> Person | None:
        stored = await self._bucket.get(key)
        if stored is None:
            return None
        person = msgspec.json.decode(stored[0], type=Person)
        if person.id in self._erased:
            return None
        self._know(person)
        return person

    def _changed(self, key: str, value: bytes | None) -> None:
        if key.startswith(_ERASED):
            if value is not None:
                self._forget(UUID(key.removeprefix(_ERASED)))
            return
        if value is None:
            for person in [person for person in self._by_name.values() if _key(person.name) == key]:
                self._unknow(person)
            return
        person = msgspec.json.decode(value, type=Person)
        if person.id not in self._erased:
            self._know(person)

    def _forget(self, person: UUID) -> None:
        self._erased.add(person)
        self._names.pop(person, None)
        for known in [known for known in self._by_name.values() if known.id == person]:
            self._unknow(known)

    def _know(self, person: Person) -> None:
        self._by_name[person.name] = person
        self._names[person.id] = person.name

    def _unknow(self, person: Person) -> None:
        self._by_name.pop(person.name, None)
        self._names.pop(person.id, None)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
