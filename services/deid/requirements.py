"""What a job needs to make a version of a dataset, beside that nothing fails."""

from __future__ import annotations

from collections.abc import Sequence

from events.deid import DeidentificationRequested, DeidentifiedFile, SourceFile
from services.deid.workplace import Failed
from services.runtime.deid.policies import Policy
from services.runtime.deidentifying.asks import FileDone


def removed(file: SourceFile) -> Failed:
    return Failed("dataset", "数据集或其文件已删除", "the dataset or its file was removed", file.name)


def require_read(done: FileDone, file: SourceFile) -> None:
    """Where nothing but unreadable records was left out, nothing was de-identified. Raises Failed."""
    if done.quarantined and not done.records:
        zh, en = "没有一条记录可以读取，全部被隔离", "no record of it can be read: all were left out"
        line = next(iter(done.quarantined_lines), None)
        raise Failed("input", zh, en, file.name, line)


def require_replaced(files: Sequence[DeidentifiedFile], requested: DeidentificationRequested, policy: Policy) -> None:
    """What is as raw as before makes no de-identified version, unless nothing was found in all of it. Raises Failed."""
    found = {kind for file in files for kind in file.counts}
    if found and all(map(policy.keeps, found)):
        en = "the policy keeps all that was found, so the data would be as raw as before"
        raise Failed("policy", "策略保留了找到的全部内容（keep），数据仍是原始数据", en)
    if not found and requested.fields is not None:
        en = "nothing was found in those fields, the others were not searched: leave out `fields` to search all"
        raise Failed("input", "所选字段中未找到任何内容，而其他字段未检查；去掉 fields 可检查全部字段", en)
