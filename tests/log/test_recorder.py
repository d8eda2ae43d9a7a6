"""The published test cases of the library `eventsourcing`, on the log."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory, TrackingRecorder
from eventsourcing.tests import application as application_cases
from eventsourcing.tests import persistence as persistence_cases
from eventsourcing.utils import Environment, get_topic

from events.log.recorder import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
    JetStreamFactory,
    JetStreamProcessRecorder,
)
from events.log.tracking import JetStreamTrackingRecorder
from tests.nats_server import NatsServer

_streams = (f"LIBRARY-{os.getpid()}-{number}" for number in itertools.count())


def environment(url: str, **more: str) -> Environment:
    return Environment(
        "Test", {"PERSISTENCE_MODULE": "events.log.recorder", "NATS_URL": url, "NATS_STREAM": next(_streams), **more}
    )


class OnJetStream:
    """Gives the library's test cases recorders, each on a new stream."""

    env: Environment

    @pytest.fixture(autouse=True)
    def factory_of_this_test(self, nats_server: NatsServer) -> Iterator[None]:
        self.env = environment(nats_server.url)
        self.made = InfrastructureFactory.construct(self.env)
        yield
        self.made.close()


class TestAggregateRecorder(OnJetStream, persistence_cases.AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.made.aggregate_recorder()


class TestSnapshotRecorder(OnJetStream, persistence_cases.AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.made.aggregate_recorder("snapshots")


class TestApplicationRecorder(OnJetStream, persistence_cases.ApplicationRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.made.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIDs(OnJetStream, persistence_cases.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> Any:
        return self.made.application_recorder()


class TestTrackingRecorder(OnJetStream, persistence_cases.TrackingRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.made.tracking_recorder()


class TestProcessRecorder(OnJetStream, persistence_cases.ProcessRecorderTestCase):
    def create_recorder(self) -> Any:
        return self.made.process_recorder()


class Positions(JetStreamTrackingRecorder):
    pass


class TestFactory(OnJetStream, persistence_cases.InfrastructureFactoryTestCase):  # type: ignore[type-arg]
    def expected_factory_class(self) -> Any:
        return JetStreamFactory

    def expected_aggregate_recorder_class(self) -> Any:
        return JetStreamAggregateRecorder

    def expected_application_recorder_class(self) -> Any:
        return JetStreamApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return JetStreamTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return Positions

    def expected_process_recorder_class(self) -> Any:
        return JetStreamProcessRecorder


class TestExampleApplication(application_cases.ExampleApplicationTestCase):
    expected_factory_topic = get_topic(JetStreamFactory)

    @pytest.fixture(autouse=True)
    def environment_of_applications(self, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Application, "env", dict(environment(nats_server.url)))
