"""Every fact there is, by wire name."""

from __future__ import annotations

from typing import get_args

from events.commands import CommandRefused
from events.datasets import AnyDatasetFact
from events.deid import AnyDeidFact
from events.deid_texts import AnyDeidTextFact
from events.deployments import AnyDeploymentFact
from events.downloads import DatasetFileDownloaded
from events.event import Event
from events.leases import AnyLeaseFact
from events.nodes import AnyNodeFact
from events.policies import AnyPolicyFact
from events.projects import AnyProjectFact
from events.runs import AnyRunFact
from events.tokens import AnyTokenFact
from events.train_config import AnyTrainConfigFact

_ALL: tuple[type[Event], ...] = (
    *get_args(AnyProjectFact),
    *get_args(AnyRunFact),
    *get_args(AnyTokenFact),
    *get_args(AnyNodeFact),
    *get_args(AnyDeploymentFact),
    *get_args(AnyLeaseFact),
    *get_args(AnyDatasetFact),
    DatasetFileDownloaded,
    *get_args(AnyTrainConfigFact),
    *get_args(AnyPolicyFact),
    *get_args(AnyDeidTextFact),
    *get_args(AnyDeidFact),
    CommandRefused,
)

FACTS: dict[str, type[Event]] = {fact.__name__: fact for fact in _ALL}
