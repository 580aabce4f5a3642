"""Usage out of a carry and the events since is that of the whole log, bit for bit, day after day."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from churnml.features.engine_usage import account_usage
from churnml.sources.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parent))
from test_incremental import FIRST, ONE_DAY, begun


def test_usage_is_that_of_the_full_build_day_after_day(tmp_path: Path) -> None:
    made, before = begun(tmp_path, "parquet"), FIRST

    def usage(workspace: Workspace) -> str:
        made.built(workspace)
        told = account_usage(workspace.connection, workspace.columns, workspace.meanings)
        return json.dumps(told)

    late = 0
    for days in (1, 6, 13):
        day = FIRST + days * ONE_DAY
        made.until(day, before)
        incremental, reading = made.newest(usage)
        assert reading.why is None, reading.sentence()
        assert reading.read < reading.of
        assert incremental == made.read_whole(usage)
        told = json.loads(incremental)
        assert sum(mine["totals"]["company"] for mine in told.values()) > 100
        assert {len(mine["weeks"]) for mine in told.values()} == {13}
        events = made.tables["events"]
        came = events[(events.known_at < day) & (events.known_at >= before)]
        late += int((came.known_at - came.occurred_at >= pd.Timedelta(days=7)).sum())
        before = day
    assert late > 0
