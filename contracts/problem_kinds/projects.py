"""What can be wrong with a request on projects."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "project_not_found": ProblemKind(404, "项目不存在：{reference}", "There is no project {reference}"),
    "project_exists": ProblemKind(409, "项目名称已存在：{name}", "A project named {name} exists already"),
    "project_archived": ProblemKind(
        409, "项目 {name} 已归档，不能修改或启动训练", "The project {name} is archived: it takes no changes and no runs"
    ),
    "project_already_archived": ProblemKind(409, "项目 {name} 已经归档", "The project {name} is archived already"),
    "project_not_archived": ProblemKind(409, "项目 {name} 未归档", "The project {name} is not archived"),
}
