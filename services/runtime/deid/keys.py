"""The keys of pseudonyms: derived by HKDF from the secret, the policy, its version and the seed."""

from __future__ import annotations

import json
import secrets
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KeySource = Literal["secret", "seed"]
Purpose = Literal["ff1", "permutation", "characters", "hash", "days"]

_SALT = b"trainledger/deid/1"
_PUBLIC = b"a seed alone gives these pseudonyms"


class Keys:
    """The secret of this installation, at least 16 bytes, out of which every key of de-identification is derived."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the secret of de-identification has at least 16 bytes")
        self._secret = secret

    def __repr__(self) -> str:
        return "Keys(…)"

    def __reduce__(self) -> tuple[type[Keys], tuple[bytes]]:
        return Keys, (self._secret,)

    def derive(self, source: KeySource, policy_id: str, version: str, seed: int | None) -> DerivedKeys:
        """The keys of one policy and seed.

        Source `secret`: from the secret, so the same wherever it is the same, with or without a seed. Source `seed`:
        from the seed alone, the same on every machine; without a seed, new ones for every call.
        """
        if source == "secret":
            material = self._secret
        elif seed is not None:
            material = _PUBLIC
        else:
            material = secrets.token_bytes(32)
        return DerivedKeys(material, json.dumps([policy_id, version, seed]).encode())


class DerivedKeys:
    """The keys of one policy and seed; those of different purposes say nothing of each other."""

    def __init__(self, material: bytes, context: bytes) -> None:
        self._material, self._context = material, context

    def __repr__(self) -> str:
        return "DerivedKeys(…)"

    def __reduce__(self) -> tuple[type[DerivedKeys], tuple[bytes, bytes]]:
        return DerivedKeys, (self._material, self._context)

    def key(self, purpose: Purpose) -> bytes:
        """32 bytes."""
        info = purpose.encode() + b"\0" + self._context
        return HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=info).derive(self._material)
