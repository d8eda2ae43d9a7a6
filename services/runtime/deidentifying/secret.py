"""The secret that pseudonyms derive from, and what may stand in facts because only it can open it."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from events.deid import DeidFact
from events.deid_texts import DeidTextFact
from events.log import EventLog
from services.runtime.durable_files import sync_directory
from services.runtime.settings import SettingRefused, Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BYTES = 32
_USES = (DeidFact.context, DeidTextFact.context)
_SEEDS = " seeds of jobs"  # no policy can have this id

_log = logging.getLogger(__name__)


class DeidSecret:
    """The key file, read when it is first needed and made where there is none. Synchronous, but for `start`.

    Whoever has it can reverse what the policies of this installation made; without it nobody can.
    """

    def __init__(self, settings: Settings) -> None:
        self._named = settings.deid_key_file
        self._file = settings.deid_key_file or settings.data_dir / "deid.key"
        self._secret: bytes | None = None
        self._new = False

    async def start(self, log: EventLog) -> None:
        """Reads it, and warns of a new one where another was in use. Raises SettingRefused and LogUnavailable."""
        there = await asyncio.to_thread(self._file.exists)
        used = not there and await log.last_position(_USES)
        await asyncio.to_thread(self.read)
        if used and self._new:
            _log.warning(
                "There was no key file of de-identification %s, and a new one was made, although this ledger has "
                "de-identified with another: what that one made cannot be reversed now, and the same seed gives other "
                "pseudonyms. Put that one in its place, from a backup or another machine, and start again.",
                self._file,
            )

    def read(self) -> bytes:
        """Raises SettingRefused where it cannot be used."""
        if self._secret is None:
            try:
                if self._named is None:
                    self._new = _make(self._file)
                text = self._file.read_text(encoding="ascii").strip()
                secret = base64.b64decode(text, validate=True)
            except OSError as error:
                raise SettingRefused(
                    f"The key file of de-identification {self._file} cannot be read: {error.strerror}."
                ) from error
            except ValueError:
                secret = b""
            if len(secret) < _BYTES:
                otherwise = (
                    "remove it, for a new one, where nothing has to be reversed any more"
                    if self._named is None
                    else "let TRAINLEDGER_DEID_KEY_FILE name another"
                )
                raise SettingRefused(
                    f"The key file of de-identification {self._file} is damaged, as it must hold at least {_BYTES} "
                    f"bytes in base64: restore it from a backup, or {otherwise}."
                )
            self._secret = secret
        return self._secret

    def seal(self, seed: int | None) -> str:
        """A seed, or that there is none, as a fact may hold it.

        AES-256-GCM under a key of its own, base64 of nonce and ciphertext.

        With some policies a seed alone reverses what it made, so that it must not stand in a fact as it is.
        """
        nonce = secrets.token_bytes(12)
        return base64.b64encode(
            nonce + self._cipher().encrypt(nonce, b"" if seed is None else str(seed).encode(), None)
        ).decode()

    def open(self, sealed: str) -> int | None:
        """ValueError: it was sealed with another secret."""
        from cryptography.exceptions import InvalidTag

        content = base64.b64decode(sealed)
        with suppress(InvalidTag):
            opened = self._cipher().decrypt(content[:12], content[12:], None)
            return int(opened) if opened else None
        raise ValueError("the seed was sealed with another secret")

    def _cipher(self) -> AESGCM:  # imported where it is used: few processes need it
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        from services.runtime.deid.keys import Keys

        return AESGCM(Keys(self.read()).derive("secret", _SEEDS, "1", None).key("hash"))


def _make(path: Path) -> bool:
    """Whether it was not there. Of several processes that make it at once one wins, and no reader sees a part of it."""
    if path.exists():
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(new)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    sync_directory(path.parent)
    return True
