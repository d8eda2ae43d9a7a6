"""Runs of what was uploaded: which file a name means, what a run freezes of it, and when it is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.assets import ConfigReference, DatasetReference, config_reference, dataset_reference, upload_of
from contracts.problems import Refused
from contracts.runs import AssetReport, ResumeRun, StartRun
from events.datasets import (
    DatasetCreated,
    DatasetDeleted,
    DatasetFact,
    DatasetFile,
    DatasetFileAdded,
    DatasetFileChecked,
    DatasetFileRemoved,
    DatasetTrainConfigSet,
    DatasetVersionDerived,
)
from events.event import Event, Origin
from events.log import Change
from events.log.memory import MemoryLog
from events.projects import Project
from events.runs import Run
from events.train_config import (
    TRAIN_CONFIG,
    TrainConfigDeleted,
    TrainConfigFact,
    TrainConfigFile,
    TrainConfigUploaded,
)
from services.handlers import assets
from services.handlers.runs import StartGathered, Stored, resume_run, start_run
from services.runtime.commands import DATASETS, TRAIN_CONFIGS
from services.runtime.gathering.stored import stored_for, stored_of
from tests.given import fold, given
from tests.runs.test_resume import NEWEST, gathered

DATA = UUID("93f22d88-9d39-4f71-a3b1-0f41d396a4f7")
TEMPLATE = "train {training_yaml_name} {dataset_name}"
CREATED = DatasetCreated(name="pairs")
YAML = TrainConfigFile(filename="finetune.yaml", stored_name=f"{uuid4()}_finetune.yaml", size=7, sha256="cd" * 32)


def file(number: int, name: str = "train.jsonl") -> DatasetFile:
    upload_id = UUID(int=number)
    return DatasetFile(
        upload_id=upload_id,
        name=name,
        stored_name=f"{upload_id}_{name}",
        bytes=number,
        sha256=f"{number:064x}",
        uploaded_at=datetime(2024, 4, 12, tzinfo=UTC),
    )


def added(number: int, version: int, name: str = "train.jsonl") -> DatasetFileAdded:
    return DatasetFileAdded(file=file(number, name), version=version, version_sha256="ab" * 32)


DERIVED = DatasetVersionDerived(
    version=2,
    version_sha256="ef" * 32,
    source=1,
    files=(file(9),),
    job_id=UUID(int=5),
    policy_id="p",
    policy_version="1",
)


def found(name: str, *facts: Event, deidentified: bool = False) -> tuple[int, str] | None:
    """Version and stored name."""
    reference = dataset_reference(name)
    assert reference is not None
    stored = assets.stored_dataset(reference, fold(DATASETS, facts), deidentified=deidentified)
    return None if stored is None else (stored.version, stored.stored_name)


def test_a_reference_means_the_newest_version_or_the_named_one() -> None:
    removed = DatasetFileRemoved(upload_id=UUID(int=1), stored_name="", version=3, version_sha256="ab" * 32)
    two = (CREATED, added(1, 1), added(2, 2, "more.jsonl"))
    assert found(f"dataset:{DATA}", CREATED, added(1, 1)) == (1, file(1).stored_name)
    assert found(f"dataset:{DATA}@1", *two) == (1, file(1).stored_name)
    assert found(f"dataset:{DATA}/more.jsonl", *two) == (2, file(2, "more.jsonl").stored_name)
    assert found(f"dataset:{DATA}/{file(1).stored_name}", *two) == (2, file(1).stored_name)
    assert found(f"dataset:{DATA}@2/train.jsonl", *two) == (2, file(1).stored_name)
    assert found(f"dataset:{DATA}", *two, removed) == (3, file(2, "more.jsonl").stored_name)


def test_what_is_not_there_or_not_any_more_is_not_found() -> None:
    removed = DatasetFileRemoved(upload_id=UUID(int=1), stored_name="", version=2, version_sha256="ab" * 32)
    assert found(f"dataset:{DATA}") is None
    assert found(f"dataset:{DATA}", CREATED) is None
    assert found(f"dataset:{DATA}@2", CREATED, added(1, 1)) is None
    assert found(f"dataset:{DATA}/other", CREATED, added(1, 1)) is None
    assert found(f"dataset:{DATA}@1", CREATED, added(1, 1), removed) is None, "its bytes are gone"
    assert found(f"dataset:{DATA}", CREATED, added(1, 1), DatasetDeleted()) is None


def test_one_of_several_files_has_to_be_named() -> None:
    two = (CREATED, added(1, 1), added(2, 2, "more.jsonl"))
    with pytest.raises(Refused, match="dataset_file_ambiguous"):
        found(f"dataset:{DATA}", *two)
    with pytest.raises(Refused, match="dataset_file_ambiguous") as same:
        found(f"dataset:{DATA}/train.jsonl", CREATED, added(1, 1), added(2, 2))
    assert file(2).stored_name in same.value.text("en")


def test_a_file_that_is_invalid_is_refused_and_others_of_its_dataset_are_not() -> None:
    invalid = DatasetFileChecked(upload_id=UUID(int=1), verdict="invalid", reason="r")
    two = (CREATED, added(1, 1), added(2, 2, "more.jsonl"), invalid)
    with pytest.raises(Refused, match="dataset_file_invalid"):
        found(f"dataset:{DATA}/train.jsonl", *two)
    assert found(f"dataset:{DATA}/more.jsonl", *two) is not None


def test_a_project_of_deidentified_data_takes_the_newest_such_version() -> None:
    facts = (CREATED, added(1, 1), DERIVED, added(3, 3, "more.jsonl"))
    assert found(f"dataset:{DATA}", *facts, deidentified=True) == (2, file(9).stored_name)
    assert found(f"dataset:{DATA}", CREATED, added(1, 1), deidentified=True) is None
    reference = DatasetReference(DATA, 2)
    stored = assets.stored_dataset(reference, fold(DATASETS, facts))
    assert stored is not None
    assert stored.deidentified


def test_a_stored_name_means_the_file_wherever_it_was_last() -> None:
    stored = assets.stored_file(
        DatasetReference(DATA), fold(DATASETS, (CREATED, added(1, 1), added(2, 2, "b.csv"))), file(1).stored_name
    )
    assert stored is not None
    assert (stored.version, stored.path) == (2, f"datasets/.trainledger/{1:064x}.jsonl")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", ""), ("a.JSONL", ".jsonl"), ("a.b c", ""), ("a.tar.gz", ".gz"), ("a.数据", ""), (".x/../y.csv", ".csv")],
)
def test_the_path_of_a_placed_file_holds_nothing_of_its_name_but_the_ending(name: str, path: str) -> None:
    named = DatasetFileAdded(file=replace(file(1), name=name), version=1, version_sha256="")
    stored = assets.stored_dataset(DatasetReference(DATA), fold(DATASETS, (CREATED, named)))
    assert stored is not None
    assert stored.path == f"datasets/.trainledger/{1:064x}{path}"


# What a run is requested with.


def start(dataset: str, config: str, stored: Stored, *, require_deidentified: bool = False) -> StartGathered:
    return StartGathered(
        project=Project(
            name="p", dataset_name=dataset, training_yaml_name=config, require_deidentified=require_deidentified
        ),
        assets=AssetReport(node="box", missing=("configs/a.yaml",) if config == "configs/a.yaml" else ()),
        command_template=TEMPLATE,
        own_command_setting="ALLOW_START_COMMAND",
        stored=stored,
    )


def stored() -> Stored:
    dataset = assets.stored_dataset(DatasetReference(DATA), fold(DATASETS, (CREATED, added(1, 1))))
    config = assets.stored_config(ConfigReference(), fold(TRAIN_CONFIGS, (TrainConfigUploaded(version=1, file=YAML),)))
    return Stored(dataset=dataset, config=config)


def test_a_run_freezes_versions_and_hashes() -> None:
    (requested,) = start_run(Run(), StartRun(project="p"), start(f"dataset:{DATA}", "train-config", stored()))
    assert requested.dataset == f"dataset:{DATA}@1/train.jsonl"
    assert requested.training_yaml == "train-config:1"
    assert requested.argv == (
        "train",
        f"configs/.trainledger/{YAML.sha256}.yaml",
        f"datasets/.trainledger/{1:064x}.jsonl",
    )
    assert requested.stored_dataset is not None
    assert (requested.stored_dataset.version, requested.stored_dataset.sha256) == (1, f"{1:064x}")
    assert requested.stored_config is not None
    assert (requested.stored_config.version, requested.stored_config.sha256) == (1, YAML.sha256)


def test_a_resumed_run_uses_the_same_versions() -> None:
    (requested,) = start_run(Run(), StartRun(project="p"), start(f"dataset:{DATA}", "train-config", stored()))
    source = replace(
        gathered(NEWEST).source,
        dataset=requested.dataset,
        training_yaml=requested.training_yaml,
        stored_dataset=requested.stored_dataset,
        stored_config=requested.stored_config,
    )
    (resumed,) = resume_run(
        Run(),
        ResumeRun(project="qwen-finetune", run_id=UUID("22222222-2222-4222-8222-222222222222")),
        replace(gathered(NEWEST, source=source), stored=stored(), command_template=TEMPLATE),
    )
    assert (resumed.stored_dataset, resumed.stored_config) == (requested.stored_dataset, requested.stored_config)
    assert (resumed.argv, resumed.dataset) == (requested.argv, requested.dataset)


def test_everything_that_is_missing_is_named() -> None:
    missing = start(f"dataset:{DATA}", "configs/a.yaml", Stored(missing=(f"dataset:{DATA}",)))
    refused = given().when(StartRun(project="p"), missing).then_refused("assets_missing")
    assert refused.status == 400
    assert f"dataset:{DATA}" in refused.text("zh")
    assert "configs/a.yaml" in refused.text("zh")


def test_a_project_of_deidentified_data_trains_on_nothing_else() -> None:
    strict = start(f"dataset:{DATA}", "train-config", stored(), require_deidentified=True)
    given().when(StartRun(project="p"), strict).then_refused("raw_data_refused")
    derived = assets.stored_dataset(DatasetReference(DATA, 2), fold(DATASETS, (CREATED, added(1, 1), DERIVED)))
    assert given().when(StartRun(project="p"), replace(strict, stored=Stored(dataset=derived))).refused is None


# What is looked up for it.


class Recorder:
    def __init__(self) -> None:
        self.log = MemoryLog()

    async def record(self, context: str, aggregate_id: UUID, *facts: Event) -> None:
        last = await self.log.read(context, aggregate_id)
        change = Change(
            context=context,
            aggregate_id=aggregate_id,
            facts=facts,
            expected=last[-1].meta.position if last else 0,
            version=len(last),
        )
        await self.log.append(change, origin=Origin(actor="service:test", command_id=uuid4()))


class OneUpload:
    async def dataset_of(self, upload_id: UUID) -> UUID | None:
        return DATA if upload_id == UUID(int=1) else None


async def test_names_are_looked_for_where_they_lead() -> None:
    recorder = Recorder()
    await recorder.record(DatasetFact.context, DATA, CREATED, added(1, 1))
    await recorder.record(TrainConfigFact.context, TRAIN_CONFIG, TrainConfigUploaded(version=1, file=YAML))

    async def looked(dataset: str, config: str) -> tuple[Stored, tuple[str, ...]]:
        project = Project(name="p", dataset_name=dataset, training_yaml_name=config)
        return await stored_of(project, recorder.log, OneUpload())

    both, elsewhere = await looked(f"dataset:{DATA}", "train-config")
    assert (both, elsewhere) == (stored(), ())
    by_name, elsewhere = await looked(file(1).stored_name, "configs/a.yaml")
    assert by_name.dataset == both.dataset
    assert elsewhere == ("configs/a.yaml",)
    unknown = f"{UUID(int=2)}_train.jsonl"
    assert await looked(unknown, "train-config:2") == (Stored(missing=("train-config:2",)), (unknown,))
    await recorder.record(TrainConfigFact.context, TRAIN_CONFIG, TrainConfigDeleted(version=1))
    assert (await looked("a.jsonl", "train-config"))[0].missing == ("train-config",)
    assert (await looked("a.jsonl", "train-config:1"))[0].config == both.config, "versions stay"


OTHER = replace(YAML, filename="other.yaml", stored_name=f"{uuid4()}_other.yaml", sha256="ef" * 32)


async def test_a_datasets_own_configuration_is_named_by_the_dataset() -> None:
    recorder = Recorder()

    async def looked(config: str) -> Stored:
        project = Project(name="p", dataset_name="a.jsonl", training_yaml_name=config)
        return (await stored_of(project, recorder.log, OneUpload()))[0]

    name = f"dataset-config:{DATA}"
    assert (await looked(name)).missing == (name,)
    await recorder.record(DatasetFact.context, DATA, CREATED, DatasetTrainConfigSet(file=YAML))
    first = (await looked(name)).config
    assert first is not None
    assert (first.name, first.dataset_id, first.sha256) == (f"{name}@1", DATA, YAML.sha256)
    await recorder.record(DatasetFact.context, DATA, DatasetTrainConfigSet(file=OTHER))
    second = (await looked(name)).config
    assert second is not None
    assert (second.version, second.stored_name) == (2, OTHER.stored_name)
    assert (await looked(f"{name}@1")).config == first
    await recorder.record(DatasetFact.context, DATA, DatasetTrainConfigSet(file=None))
    assert (await looked(name)).missing == (name,), "none is in force"
    assert (await looked(f"{name}@2")).config == second
    assert (await looked(f"{name}@3")).missing == (f"{name}@3",)
    run = Run(dataset="a.jsonl", training_yaml=first.name, stored_config=first)
    assert await stored_for(run, recorder.log) == (Stored(config=first), ("a.jsonl",))
    await recorder.record(DatasetFact.context, DATA, DatasetDeleted())
    assert (await looked(f"{name}@1")).missing == (f"{name}@1",)
    assert (await stored_for(run, recorder.log))[0].missing == (first.name,)


async def test_a_run_whose_data_was_removed_is_not_resumed() -> None:
    recorder = Recorder()
    await recorder.record(DatasetFact.context, DATA, CREATED, added(1, 1))
    used = stored()
    run = Run(dataset="d", training_yaml="configs/a.yaml", stored_dataset=used.dataset)
    assert await stored_for(run, recorder.log) == (Stored(dataset=used.dataset), ("configs/a.yaml",))
    await recorder.record(DatasetFact.context, DATA, DatasetDeleted())
    assert used.dataset is not None
    assert (await stored_for(run, recorder.log))[0].missing == (used.dataset.name,)


@hypothetically(
    st.text(max_size=60) | st.from_regex(r"(dataset|train-config|dataset-config)[:@/\w.\-]{0,60}", fullmatch=True)
)
def test_references_are_what_they_say_or_none(name: str) -> None:
    reference, config = dataset_reference(name), config_reference(name)
    assert reference is None or config is None
    assert config is None or name.lower().startswith(("train-config", "dataset-config:"))
    assert reference is None or str(reference.dataset_id) in name.lower()
    assert upload_of(name) is None or reference is None
