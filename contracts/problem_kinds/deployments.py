"""What can be wrong with a request on deployments."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "deployment_not_found": ProblemKind(404, "部署不存在：{deployment_id}", "There is no deployment {deployment_id}"),
    "model_path_refused": ProblemKind(
        400,
        "model_path 无效：不能以 - 开头，首尾不能有空白，不能包含控制字符",
        "The model_path must not begin with -, nor begin or end with white space, nor hold control characters",
    ),
    "extra_args_refused": ProblemKind(
        400,
        "extra_args 中的 {argument} 不被允许：须为选项，且端口、地址、模型与配置文件由本服务决定",
        "The argument {argument} in extra_args is not allowed: only options are, and port, host, model and files of "
        "settings are not the caller's to choose",
    ),
    "extra_args_unbalanced": ProblemKind(
        400, "extra_args 不是完整的参数列表（引号不配对）", "The extra_args are not whole (their quotes do not match)"
    ),
    "checkpoint_elsewhere": ProblemKind(
        409,
        "检查点位于节点 {owner}，不能部署到节点 {node}",
        "The checkpoint lies on node {owner} and cannot be served by node {node}",
    ),
    "no_deployment_node": ProblemKind(
        503, "没有部署服务应答，无法部署模型", "No deployment service answers, so nothing can be served"
    ),
    "no_free_port": ProblemKind(503, "节点 {node} 没有空闲端口", "There is no free port on node {node}"),
    "no_gpu": ProblemKind(
        503, "节点 {node} 没有满足要求的 GPU", "There is no GPU on node {node} that meets what is asked for"
    ),
    "deployment_failed": ProblemKind(
        500, "部署 {deployment_id} 启动失败：{reason}", "The deployment {deployment_id} could not be started: {reason}"
    ),
    "deployment_stopping": ProblemKind(
        409,
        "部署 {deployment_id} 尚未停止，仍有进程存活；可用 force=true 强制终止",
        "The deployment {deployment_id} has not stopped, processes of it are alive; force=true kills them",
    ),
    "deployment_stop_unconfirmed": ProblemKind(
        409,
        "部署 {deployment_id} 所在的节点 {node} 没有应答，尚不能确认已停止；节点恢复后会停止它，节点失联则移出列表",
        "The node {node} of deployment {deployment_id} does not answer, so that it has stopped is not known; it is "
        "stopped when the node is back, or leaves the list when the node is lost",
    ),
    "deployment_log_missing": ProblemKind(
        404, "部署 {deployment_id} 还没有日志", "The deployment {deployment_id} has no log yet"
    ),
    "node_not_serving": ProblemKind(
        409, "节点 {node} 上没有部署服务应答", "No deployment service of a node {node} answers"
    ),
    "deployment_node_unreachable": ProblemKind(503, "节点 {node} 没有应答", "The node {node} does not answer"),
}
