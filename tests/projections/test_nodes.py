"""Nodes in the tables: registered, lost and back, now and as of then, with the runs that have not ended."""

from __future__ import annotations

from functools import partial

from events.nodes import NodeLost, NodeRegistered
from events.runs import RunAssigned, RunFailed
from projections.database import Database
from projections.queries.nodes import live_runs_of, node_list
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.tables import ask, cut_at, fold_all

NODE, OTHER = identify("node"), identify("other node")
PROJECT, RUN, ENDED = identify("project"), identify("run"), identify("ended run")
REGISTERED = NodeRegistered(
    name="gpu-1", labels={"gpu": "a100", "场所": "上海"}, executor="docker", training_directory="/data1"
)


def test_a_node_is_shown_as_it_was(database: Database) -> None:
    history = History()
    history.add(NODE, REGISTERED)  # 1
    history.add(OTHER, NodeRegistered(name="gpu-2", labels={}, executor="local", training_directory="/data2"))
    history.add(PROJECT, project_created())
    for run_id in (ENDED, RUN):
        history.add(run_id, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"))  # 4 to 7
    history.add(ENDED, RunFailed(attempt=1, cause="exit", exit_code=1, reason="exit code 1"))  # 8
    history.add(NODE, NodeLost(silent_seconds=300.0))  # 9
    history.add(RUN, RunFailed(attempt=1, cause="lost", exit_code=None, reason="节点失联"))  # 10
    history.add(NODE, NodeRegistered(name="gpu-1", labels={}, executor="docker", training_directory="/data1"))
    fold_all(database, history.facts[:9], 4)
    assert ask(database, lambda connection: live_runs_of(connection, "gpu-1")) == [RUN]
    fold_all(database, history.facts[9:], 4, after=9)
    assert ask(database, lambda connection: live_runs_of(connection, "gpu-1")) == ()

    assert ask(database, lambda connection: node_list(connection, cut_at(1)))[0].labels == REGISTERED.labels
    shown = {position: ask(database, partial(node_list, cut=cut_at(position))) for position in (0, 1, 8, 9)}
    assert [len(nodes) for nodes in shown.values()] == [0, 1, 2, 2]
    assert [(node.name, node.status, node.runs) for node in shown[8]] == [("gpu-1", None, (RUN,)), ("gpu-2", None, ())]
    assert (shown[9][0].status, shown[9][0].lost_at) != (None, None)
    [first, _] = ask(database, node_list)
    assert (first.status, first.lost_at, first.labels, first.runs) == (None, None, {}, ())
    assert first.registered_at > shown[9][0].registered_at
