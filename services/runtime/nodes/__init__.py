"""Machines that train, serve and keep files: what they say of themselves, and asking them."""
