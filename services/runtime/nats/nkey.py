"""NATS nkeys of users: Ed25519 keys in base32 with a prefix and a checksum.

Format: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth and nats-io/nkeys.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_SEED = 18 << 3  # reads "S" in base32
_USER = 20 << 3  # reads "U"


class InvalidSeed(ValueError):
    """Not the seed of a user's nkey. The text never holds what was read."""


class UserKey:
    """A key pair that signs in to NATS as a user."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._private = Ed25519PrivateKey.from_private_bytes(raw)

    @classmethod
    def new(cls) -> UserKey:
        return cls(os.urandom(32))

    @classmethod
    def from_seed(cls, text: str) -> UserKey:
        """Raises InvalidSeed."""
        try:
            data = base64.b32decode(text.strip() + "=" * (-len(text.strip()) % 8))
        except binascii.Error:
            raise InvalidSeed("it is not base32") from None
        if len(data) != 36 or _checksum(data[:-2]) != data[-2:]:
            raise InvalidSeed("its length or checksum is wrong")
        if data[0] & 0b11111000 != _SEED or (data[0] & 7) << 5 | data[1] >> 3 != _USER:
            raise InvalidSeed("it is not the seed of a user")
        return cls(data[2:34])

    @classmethod
    def from_file(cls, path: Path) -> UserKey:
        """Reads a file that holds a seed, alone or in the format of `.creds`. Raises InvalidSeed or OSError."""
        lines = [line.strip() for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
        seeds = [line for line in lines if line.startswith("SU")]
        if not seeds:
            raise InvalidSeed("it holds no seed of a user")
        return cls.from_seed(seeds[-1])

    @property
    def seed(self) -> str:
        prefix = bytes([_SEED | _USER >> 5, (_USER & 31) << 3])
        return _encoded(prefix + self._raw)

    @property
    def public(self) -> str:
        return _encoded(bytes([_USER]) + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, nonce: str) -> bytes:
        """The server's nonce signed, in base64, as nats-py's `signature_cb` wants it."""
        return base64.b64encode(self._private.sign(nonce.encode()))


def _encoded(data: bytes) -> str:
    return base64.b32encode(data + _checksum(data)).decode().rstrip("=")


def _checksum(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "little")
