"""Decisions: pure functions of a state, a command and what was gathered for it. No I/O."""
