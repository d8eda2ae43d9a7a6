"""What can be wrong with a request on tokens."""

from __future__ import annotations

from contracts.problem_kinds.kind import ProblemKind

KINDS: dict[str, ProblemKind] = {
    "token_not_found": ProblemKind(404, "没有编号为 {id} 的令牌", "There is no token {id}"),
}
