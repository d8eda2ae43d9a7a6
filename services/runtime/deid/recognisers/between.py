"""What formats of text put between a word and its value, or around them."""

from __future__ import annotations

TAG = r"</?[A-Za-z][^<>\n]{0,64}+>"
_EMPHASIS = (
    r"(?:\*{1,3}(?=[^!-~]|[:=|]|[^\s*][^*\n]{0,256}+\*{1,3}(?![A-Za-z0-9*]))"
    r"|_{2,3}(?=[^!-~]|[:=|]|[^\s_](?:[^_\n]|_(?!_)){0,256}+_{2,3}(?![A-Za-z0-9_])))"
)
"""One that closes, or opens and is closed: a password may hold the sign itself."""
ARROW = r"(?:→|-{1,2}>|=>)"
MARKS = rf"(?:{_EMPHASIS}|`{{1,3}}|{TAG}|\|)"
"""Emphasis, code and cells of Markdown, tags."""
MARKUP = rf"(?:{MARKS}|{ARROW})"
