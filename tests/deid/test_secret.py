"""The key file, as it may be found."""

from __future__ import annotations

import base64
from pathlib import Path
from uuid import uuid4

import pytest

from events.deid import DeidentificationAssigned
from events.event import Origin
from events.log import Change
from events.log.memory import MemoryLog
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.settings import SettingRefused, load


async def test_a_key_that_was_gone_is_made_anew_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, settings = MemoryLog(), load({"TRAINLEDGER_DATA_DIR": str(tmp_path)})
    await DeidSecret(settings).start(log)
    await log.append(
        Change(context="deid", aggregate_id=uuid4(), facts=(DeidentificationAssigned(node="box"),)),
        origin=Origin(actor="test", command_id=uuid4()),
    )
    await DeidSecret(settings).start(log)
    assert not caplog.records
    (tmp_path / "deid.key").unlink()
    await DeidSecret(settings).start(log)
    assert str(tmp_path / "deid.key") in caplog.text
    caplog.clear()
    await DeidSecret(settings).start(log)
    assert not caplog.records


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
