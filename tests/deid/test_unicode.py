"""Much text is looked at by Arrow, little by Python: both have to find the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.runtime.deid import faults

_NEARLY = st.lists(
    st.one_of(
        st.text(max_size=5).map(str.encode),
        st.sampled_from([b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
        st.sampled_from([b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe4\xb8", b"\xf0\x9f\x98", b"\0", b"\xff"]),
    ),
    max_size=12,
).map(b"".join)


@pytest.fixture(scope="module")
def much() -> bytes:
    """Text of which one more byte makes much."""
    return "微调 x".encode() * (faults._MUCH // 8 + 1)


@given(_NEARLY)
@example(b"\xe4\xb8")
def test_python_and_arrow_agree(much: bytes, content: bytes) -> None:
    assert faults.is_utf8(much + content) == faults.is_utf8(content)
    assert faults.is_utf8(content + much) == faults.is_utf8(content)


def test_what_python_decodes_is_utf8(much: bytes) -> None:
    assert len(much) >= faults._MUCH
    assert faults.is_utf8(much)
    assert not faults.is_utf8(b"\xff")
    assert not faults.is_utf8(much + b"\xff")
