"""Secrets among the arguments of commands: `mysql -p…`, `curl -u name:…`, `wandb login …`, `--token …`."""

from __future__ import annotations

from services.runtime.deid.reaches import among_bytes
from services.runtime.deid.recognisers.secret_values import BARE, SECRET
from services.runtime.deid.recognisers.value_forms import Form

_BLANK = among_bytes(" \t")
_GAP = r"[ \t]{1,4}+(?:\\{1,2}[ \t]?\n[ \t]{0,8}+)?"
"""Between arguments; a command may go on in the next line."""
_COMMANDS = "mysql|mariadb|curl|docker|sshpass|redis|mongo|wandb"


def _arguments(option: str) -> str:
    """Those before this one; another command begins anew."""
    return rf"(?:{_GAP}(?!{option}|{_COMMANDS})[^\s;|&]{{1,64}}+){{0,12}}?{_GAP}(?:{option})"


def _form(begin: str, before: str = "", least: int = 6) -> Form:
    """`before`: what is of the same argument, and no secret."""
    value = rf"(?:'{before}([ -&(-~]{{6,64}})'|\"{before}([ !#-~]{{6,64}})\"|{before}([!#-&(-_a-~][!#-_a-~]{{5,63}}))"
    return Form(begin + value, _BLANK, (SECRET, SECRET, BARE), least)


ATTACHED = _form(_arguments("-p(?!ort)"))
"""`mysql -p…`: another argument after it is none of it."""
PASSWORD = _form(_arguments(r"-p[ \t]{0,2}"))
"""`docker login -p …`."""
AUTHENTICATION = _form(_arguments(r"-a[ \t]{1,2}"))
"""`redis-cli -a …`."""
USER = _form(_arguments(r"(?:-[A-Za-z]{0,3}[uU]|--(?:proxy-)?user)[ \t=]{0,2}"), before=r"[^\s:'\"]{1,64}+:")
"""`curl -u name:…`."""
_KEY = r"(?:[0-9a-z]{40}|wandb_v1_[0-9A-Za-z_]{20,120})(?![0-9A-Za-z])"
KEY = Form(rf"{_arguments(f'(?={_KEY})')}({_KEY})", _BLANK, (SECRET,))
"""`wandb login …`."""
TOKEN = _form(_GAP, least=8)
"""`--token …`."""
