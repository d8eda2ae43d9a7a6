"""What can be wrong with a request on training configurations."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "train_config_missing": ProblemKind(404, "当前没有训练配置", "There is no training configuration"),
    "train_config_version_missing": ProblemKind(
        404, "训练配置没有版本 {version}", "The training configuration has no version {version}"
    ),
    "train_config_filename": ProblemKind(
        400,
        "训练配置的文件名须以 .yaml 或 .yml 结尾：{filename}",
        "A training configuration's file name must end in .yaml or .yml: {filename}",
    ),
    "train_config_invalid": ProblemKind(
        400, "训练配置无效：{reason}", "The training configuration is not valid: {reason}"
    ),
    "train_config_unreadable": ProblemKind(
        503,
        "训练配置 {filename} 在存储中无法读取",
        "The training configuration {filename} cannot be read from the storage",
    ),
    "dataset_train_config_missing": ProblemKind(
        404, "数据集 {dataset_id} 没有训练配置", "The dataset {dataset_id} has no training configuration"
    ),
    "run_config_missing": ProblemKind(
        404,
        "训练任务没有登记过配置文件：{run_id}",
        "The run {run_id} has no configuration on record",
    ),
}
