"""What counts as silence of a node."""

from __future__ import annotations

from services.projector.silence import Silence


def looked(silence: Silence, *moments: float) -> None:
    for moment in moments:
        silence.look(moment, longest=15.0)


def test_silence_is_counted_while_somebody_looks() -> None:
    silence = Silence()
    silence.heard("a")
    looked(silence, 100.0, 105.0, 110.0)
    assert silence.longer_than(10.0) == [("a", 10.0)]
    silence.heard("a")
    assert silence.longer_than(0.1) == []
    looked(silence, 115.0)
    assert silence.longer_than(0.1) == []
    looked(silence, 120.0)
    assert silence.longer_than(5.0) == [("a", 5.0)]


def test_what_nobody_looked_at_counts_for_nothing() -> None:
    silence = Silence()
    silence.heard("a")
    looked(silence, 0.0, 14.0, 28.0)
    looked(silence, 1_028.0)  # this process was stopped
    assert silence.longer_than(0.1) == []
    looked(silence, 1_033.0)
    assert silence.longer_than(0.1) == [("a", 5.0)]


def test_an_outage_undoes_what_was_counted() -> None:
    silence = Silence()
    silence.heard("a")
    looked(silence, 0.0, 10.0)
    silence.interrupt()
    looked(silence, 12.0)
    assert silence.longer_than(0.1) == []
    looked(silence, 14.0)
    assert silence.longer_than(0.1) == [("a", 2.0)]


def test_a_node_that_is_forgotten_is_not_silent() -> None:
    silence = Silence()
    silence.heard("a")
    silence.heard("b")
    looked(silence, 0.0, 10.0)
    silence.heard("a", gone=True)
    assert silence.longer_than(1.0) == [("b", 10.0)]
