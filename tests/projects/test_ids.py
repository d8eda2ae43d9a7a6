"""Ids of projects, which clients compute too: UUIDs of version 5 in a namespace that never changes."""

from __future__ import annotations

import unicodedata
from uuid import UUID, uuid5

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.projects import project_id, reads_as_uuid

_NAMESPACE = UUID("5a0c4f0e-6d8e-5b7e-9a52-3c1e6f1f7d10")
_DIGITS = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)
# What Python's parser takes and what nearly is it: digits with anything in between that it may drop.
_SPELLINGS = st.one_of(
    st.text(min_size=30, max_size=50),
    st.text("0123456789abcdefABCDEF-{}urnid:xX_+ g", min_size=30, max_size=50),
    st.tuples(
        st.sampled_from(["", "{", "urn:uuid:", "URN:UUID:", "urn:"]), _DIGITS, st.sampled_from(["", "}", "-"])
    ).map("".join),
)


def _parses(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@given(_SPELLINGS)
@example("0x" + "1" * 30)
@example("1_" * 15 + "11")
@example("urn:uuid:6f8c7d52-33c4-4d76-9371-5dfd5fcd521a")
@example("٣" * 32)
def test_what_reads_as_a_uuid_is_what_python_parses(text: str) -> None:
    assert reads_as_uuid(text) == _parses(text)


@given(st.text(min_size=1, max_size=60))
def test_an_id_is_the_uuid_of_the_name(name: str) -> None:
    normal = unicodedata.normalize("NFC", name)
    assert project_id(name) == (UUID(name) if _parses(name) else uuid5(_NAMESPACE, normal))
