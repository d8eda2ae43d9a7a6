"""Every kind of problem, by its stable code."""

from __future__ import annotations

from contracts.problem_kinds import datasets, deid, deployments, nodes, projects, requests, runs, tokens, train_config
from contracts.problem_kinds.kind import ProblemKind

PROBLEMS: dict[str, ProblemKind] = {
    **requests.KINDS,
    **projects.KINDS,
    **tokens.KINDS,
    **runs.KINDS,
    **nodes.KINDS,
    **datasets.KINDS,
    **train_config.KINDS,
    **deid.KINDS,
    **deployments.KINDS,
}
