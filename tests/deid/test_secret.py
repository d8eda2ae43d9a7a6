"""The key file, as it may be found."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.settings import SettingRefused, load


@pytest.mark.parametrize(
    "content", [b"", b"not base64!", b"\xff\xfe", base64.b64encode(b"too short"), base64.b64encode(b"k" * 32)[:-7]]
)
def test_a_damaged_key_file_is_one_sentence_that_helps(tmp_path: Path, content: bytes) -> None:
    own, named = tmp_path / "deid.key", tmp_path / "named.key"
    for file, more, otherwise in (
        (own, {}, "remove it, for a new one"),
        (named, {"TRAINLEDGER_DEID_KEY_FILE": str(named)}, "let TRAINLEDGER_DEID_KEY_FILE name another"),
    ):
        file.write_bytes(content)
        with pytest.raises(SettingRefused) as refused:
            DeidSecret(load({"TRAINLEDGER_DATA_DIR": str(tmp_path)} | more)).read()
        said = str(refused.value)
        assert f"{file} is damaged" in said
        assert "restore it from a backup" in said
        assert otherwise in said
        assert not content or repr(content)[2:-1] not in said
        assert file.read_bytes() == content
