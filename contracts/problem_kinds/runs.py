"""What can be wrong with a request on runs."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "run_not_found": ProblemKind(404, "训练任务不存在：{run_id}", "There is no run {run_id}"),
    "assets_missing": ProblemKind(400, "训练资源缺失：{missing}", "Training assets are missing: {missing}"),
    "asset_not_a_file": ProblemKind(400, "训练资源不是文件：{names}", "Training assets are no regular files: {names}"),
    "asset_unreadable": ProblemKind(400, "训练资源无法读取：{names}", "Training assets cannot be read: {names}"),
    "dataset_file_invalid": ProblemKind(
        400,
        "数据集 {dataset_id} 的文件 {name} 未通过内容检查，不能用于训练",
        "The file {name} of the dataset {dataset_id} was found invalid, so nothing can train on it",
    ),
    "dataset_file_ambiguous": ProblemKind(
        400,
        "数据集 {dataset_id} 的版本 {version} 有多个文件，请用 /<文件名> 指明其一：{names}",
        "Version {version} of the dataset {dataset_id} has several files, name one of them by /<file name>: {names}",
    ),
    "asset_outside": ProblemKind(
        400, "训练资源路径越出训练目录：{outside}", "Asset paths leave the training directory: {outside}"
    ),
    "no_training_node": ProblemKind(
        503, "没有训练服务应答，无法检查训练资源", "No training service answers, so the assets cannot be checked"
    ),
    "start_command_not_allowed": ProblemKind(
        400,
        "不允许自定义 start_command，请由管理员开启设置 {setting}",
        "A start_command of the caller's own is not allowed; the setting {setting} allows it",
    ),
    "launch_failed": ProblemKind(500, "训练启动失败：{reason}", "The training could not be launched: {reason}"),
    "artifact_not_found": ProblemKind(404, "产物不存在：{artifact_id}", "There is no artifact {artifact_id}"),
    "run_not_ended": ProblemKind(
        409,
        "训练任务尚未结束（{status}），不能从它继续",
        "The run has not ended ({status}), so nothing can resume from it",
    ),
    "no_checkpoint": ProblemKind(
        409, "训练任务没有留下完整的检查点：{run_id}", "The run {run_id} has left no complete checkpoint"
    ),
    "not_a_checkpoint": ProblemKind(
        409, "产物 {name} 不是检查点（类型为 {type}）", "The artifact {name} is no checkpoint but of type {type}"
    ),
    "checkpoint_incomplete": ProblemKind(
        409,
        "检查点在节点 {node} 上已不存在或不完整：{path}",
        "The checkpoint is gone or not complete on node {node}: {path}",
    ),
    "too_many_tags": ProblemKind(409, "一个产物最多允许 {limit} 个标签", "An artifact may have at most {limit} tags"),
    "artifact_is_directory": ProblemKind(
        409,
        "产物 {name} 是目录，不能作为单个文件下载；它位于节点 {node} 的 {path}",
        "The artifact {name} is a directory and cannot be downloaded as one file; it is {path} on node {node}",
    ),
    "artifact_missing": ProblemKind(
        404, "产物文件已不在节点 {node} 上：{path}", "The artifact's file is no longer on node {node}: {path}"
    ),
    "artifact_changed": ProblemKind(
        409,
        "产物文件登记后已被改动，不再是所登记的内容：{path}",
        "The artifact's file was changed after it was recorded and is not what is on record: {path}",
    ),
    "artifact_unreadable": ProblemKind(
        409, "节点 {node} 无法提供该产物文件：{path}", "The node {node} cannot give the artifact's file: {path}"
    ),
    "node_unreachable": ProblemKind(
        503, "节点 {node} 没有应答，无法读取其文件", "The node {node} does not answer, so its files cannot be read"
    ),
    "range_not_satisfiable": ProblemKind(
        416, "请求的范围超出文件大小（{size} 字节）", "The range lies outside the file, which has {size} bytes"
    ),
    "raw_data_refused": ProblemKind(
        409,
        "项目 {project} 只允许使用去标识化的数据集版本（require_deidentified），不能用原始数据启动训练",
        "The project {project} requires de-identified data (require_deidentified), so no run may train on raw data",
    ),
    "run_ended": ProblemKind(409, "训练任务已结束（{status}）", "The run has ended already ({status})"),
}
