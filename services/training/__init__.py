"""Launches runs, follows what they print and do, and reports it."""
