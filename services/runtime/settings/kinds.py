"""Kinds of settings, and how a setting is refused."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Text = Annotated[str, Meta(min_length=1)]


class SettingRefused(Exception):
    """A setting that cannot be used. The text is one sentence for the user that names it and holds no secret."""
