"""What decisions on de-identification of datasets need to know beside the job's own facts."""

from __future__ import annotations

import asyncio
import secrets

from contracts.deid import DeidentifyDataset
from services.handlers.deid import DeidentifyGathered, FrozenPolicy
from services.runtime.deidentifying.policies import find_policy
from services.runtime.gathering.sources import Sources
from services.runtime.gathering.stored import load_dataset


async def for_deidentify_dataset(command: DeidentifyDataset, sources: Sources) -> DeidentifyGathered:
    """Where a policy's pseudonyms derive from the seed alone, a job without one of the caller's has its own, so that it
    comes out the same wherever it is begun again; else they are those of the secret, the same in every job."""
    seal = sources.seal
    if seal is None:
        raise RuntimeError("this process has no key of de-identification")
    policy = await find_policy(sources.log, command.policy_id, command.policy_version)
    seed = command.seed
    if seed is None and (await asyncio.to_thread(policy.loaded)).key == "seed":
        seed = secrets.randbits(63)
    return DeidentifyGathered(
        dataset=await load_dataset(command.dataset_id, sources.log),
        policy=FrozenPolicy(id=policy.id, version=policy.version, content=policy.content),
        sealed_seed=await asyncio.to_thread(seal, seed),
    )
