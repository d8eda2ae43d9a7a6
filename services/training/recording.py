"""What an attempt leaves behind goes on record as it comes to be, each artifact once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from contracts.runs import RecordArtifact
from services.training.artifacts import Found
from services.training.collecting import found
from services.training.executors import Place
from services.training.launching import Plan
from services.training.reports import Reports

_LOOK = 5.0


class Recording:
    """Of one attempt; `known` are the paths that are on record already."""

    def __init__(self, place: Place, plan: Plan, root: Path, report: Reports, known: Iterable[str]) -> None:
        self._place = place
        self._plan = plan
        self._root = root
        self._report = report
        self._known = set(known)

    async def follow(self) -> None:
        """Until cancelled, while the attempt goes on."""
        while True:
            await self.look(ended=False)
            await asyncio.sleep(_LOOK)

    async def look(self, *, ended: bool) -> None:
        known = frozenset(self._known)
        await self.record(*await asyncio.to_thread(found, self._place, self._plan, self._root, known, ended=ended))

    async def record(self, *artifacts: Found) -> None:
        for artifact in artifacts:
            if artifact.path in self._known:
                continue
            command = RecordArtifact(
                run_id=self._place.run_id,
                name=artifact.name,
                type=artifact.type,
                path=artifact.path,
                size=artifact.size,
                files=artifact.files,
                sha256=artifact.sha256,
            )
            await self._report(command, f"artifact/{artifact.path}")
            self._known.add(artifact.path)
