"""Uploaded files on disk: whole, hashed and safe before any fact names them."""

from __future__ import annotations

from services.runtime.storage.arriving import Arrived
from services.runtime.storage.names import check_file_name, stored_name
from services.runtime.storage.store import Storage, Unsafe

__all__ = ["Arrived", "Storage", "Unsafe", "check_file_name", "stored_name"]
