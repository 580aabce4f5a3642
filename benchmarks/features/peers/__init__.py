"""Other tools at the same work: the reference features over the same log and the same snapshots.

Each is written as those who know the tool would, is checked against churnml's values, and runs in an
interpreter that need not have churnml: nothing here imports it."""
