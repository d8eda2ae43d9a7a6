"""What decisions on de-identification of datasets need to know beside the job's own facts."""

from __future__ import annotations

import asyncio
import secrets

from contracts.deid import DeidentifyDataset
from services.handlers.deid import DeidentifyGathered, FrozenPolicy
from services.runtime.deid_policies import find_policy
from services.runtime.gather import Sources
from services.runtime.gather_stored import load_dataset


async def for_deidentify_dataset(command: DeidentifyDataset, sources: Sources) -> DeidentifyGathered:
    """Without a seed of the caller's the job has one of its own, so that it gives the same whenever it is repeated."""
    seal = sources.seal
    if seal is None:
        raise RuntimeError("this process has no key of de-identification")
    seed = secrets.randbits(63) if command.seed is None else command.seed
    policy = await find_policy(sources.log, command.policy_id, command.policy_version)
    return DeidentifyGathered(
        dataset=await load_dataset(command.dataset_id, sources.log),
        policy=FrozenPolicy(id=policy.id, version=policy.version, content=policy.content),
        sealed_seed=await asyncio.to_thread(seal, seed),
    )
