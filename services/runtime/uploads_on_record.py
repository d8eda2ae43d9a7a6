"""Uploads as the read models have them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select

from projections.tables import dataset_files
from services.runtime.reads import Reads


class UploadsOnRecord:
    """Finds the dataset of an upload."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def dataset_of(self, upload_id: UUID) -> UUID | None:
        """The dataset that a file was uploaded to, none where there is no such upload. Raises Refused."""

        def find(connection: Connection) -> UUID | None:
            statement = select(dataset_files.c.dataset_id).where(
                dataset_files.c.id == str(upload_id), dataset_files.c.until.is_(None)
            )
            found = connection.execute(statement).scalar_one_or_none()
            return None if found is None else UUID(found)

        return (await self._reads.ask(find)).answer
