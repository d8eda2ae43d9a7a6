"""What a database's refusal means, whichever database it is."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from projections.database import Database, lacks_tables
from tests.projections.tables import ask, projected_position


def test_tables_that_nobody_has_made_yet_are_told_from_all_else(empty_database: Database) -> None:
    with pytest.raises(DBAPIError) as unmade:
        ask(empty_database, projected_position)
    assert lacks_tables(unmade.value)
    with pytest.raises(DBAPIError) as wrong:
        ask(empty_database, lambda connection: connection.exec_driver_sql("SELECT nonsense"))
    assert not lacks_tables(wrong.value)
    assert not lacks_tables(None)
