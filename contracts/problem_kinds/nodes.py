"""What can be wrong with a request on nodes."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "node_not_found": ProblemKind(404, "节点不存在：{name}", "There is no node {name}"),
    "node_not_lost": ProblemKind(
        409,
        "节点 {name} 未被判定失联，不能移除；请先停止其训练服务，超过失联期限后再试",
        "Node {name} was not declared lost, so it cannot be forgotten; stop its training service and wait until it is",
    ),
}
