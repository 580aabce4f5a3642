"""Stores as earlier versions left them: their tables in SQL of then, and rows in them.

Nothing here is made from today's tables: a migration that is wrong would be wrong on both sides."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from churnml.store.rows import AccountRow, ScoringRun
from churnml.store.store import Store

OLD = (1, 2, 3, 4, 5, 6)
MONDAY, NEXT_MONDAY = datetime(2024, 3, 4), datetime(2024, 3, 11)

# How the two databases spell the same thing.
WORDS = {
    "sqlite": {
        "BLOB": "BLOB", "TIME": "DATETIME", "FLOAT": "FLOAT", "NOROWID": "WITHOUT ROWID",
        "NUMBERED": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "VERSION": "INTEGER",
    },
    "postgresql": {
        "BLOB": "BYTEA", "TIME": "TIMESTAMP WITHOUT TIME ZONE", "FLOAT": "FLOAT(53)", "NOROWID": "",
        "NUMBERED": "SERIAL PRIMARY KEY", "VERSION": "SERIAL",
    },
}  # fmt: skip

# What each version added to the one before it.
ADDED = {
    1: """
        CREATE TABLE churnml_schema (version {VERSION} NOT NULL, PRIMARY KEY (version));
        CREATE TABLE scoring_runs (
            sequence {NUMBERED}, run_id VARCHAR(64) NOT NULL, alias VARCHAR(16) NOT NULL,
            as_of {TIME} NOT NULL, data_through {TIME} NOT NULL, created_at {TIME} NOT NULL,
            model_versions {BLOB} NOT NULL, drift {BLOB} NOT NULL, UNIQUE (run_id));
        CREATE INDEX scoring_runs_shown ON scoring_runs (alias, as_of, sequence);
        CREATE TABLE account_rows (
            sequence INTEGER NOT NULL, account_id VARCHAR(255) NOT NULL, segment VARCHAR, need VARCHAR,
            csm_id VARCHAR, mrr_minor BIGINT NOT NULL, currency VARCHAR(8) NOT NULL,
            features {BLOB} NOT NULL, PRIMARY KEY (sequence, account_id),
            FOREIGN KEY(sequence) REFERENCES scoring_runs (sequence)) {NOROWID};
        CREATE TABLE score_rows (
            sequence INTEGER NOT NULL, account_id VARCHAR(255) NOT NULL, target VARCHAR(32) NOT NULL,
            horizon_days INTEGER NOT NULL, lead_days INTEGER NOT NULL, probability {FLOAT},
            tier VARCHAR(16) NOT NULL, status VARCHAR(16) NOT NULL, reasons {BLOB} NOT NULL,
            play VARCHAR(64) NOT NULL, mrr_minor BIGINT NOT NULL, currency VARCHAR(8) NOT NULL,
            model_version VARCHAR(64) NOT NULL,
            PRIMARY KEY (sequence, account_id, target, horizon_days),
            FOREIGN KEY(sequence, account_id) REFERENCES account_rows (sequence, account_id)) {NOROWID};
        CREATE INDEX score_rows_account ON score_rows (account_id);
        INSERT INTO churnml_schema VALUES (1);
        INSERT INTO scoring_runs
            (run_id, alias, as_of, data_through, created_at, model_versions, drift) VALUES
            ('old', 'champion', '2024-03-04 00:00:00', '2024-03-04 00:00:00', '2024-03-05 09:30:00',
             :versions, :nothing);
        INSERT INTO account_rows VALUES
            (1, 'a', 'smb', 'reporting', NULL, 10010, 'EUR', :features),
            (1, 'b', NULL, NULL, 'csm-1', 5000, 'EUR', :features);
        INSERT INTO score_rows VALUES
            (1, 'a', 'churn', 90, 14, 0.3, 'high', 'ok', :reasons, 'check_in', 10010, 'EUR', 'v1'),
            (1, 'b', 'churn', 90, 14, NULL, 'unknown', 'too_little_data', :none, 'check_in', 5000,
             'EUR', 'v1')
    """,
    2: """
        ALTER TABLE score_rows ADD COLUMN outlook {BLOB};
        UPDATE score_rows SET outlook = :outlook WHERE account_id = 'a'
    """,
    3: """
        ALTER TABLE account_rows ADD COLUMN evidence {BLOB};
        UPDATE account_rows SET evidence = :evidence WHERE account_id = 'a'
    """,
    4: """
        CREATE TABLE actions (
            action_id VARCHAR(64) NOT NULL, account_id VARCHAR(255) NOT NULL,
            play VARCHAR(64) NOT NULL, occasion VARCHAR(64) NOT NULL, target VARCHAR(32) NOT NULL,
            state VARCHAR(16) NOT NULL, arm VARCHAR(16) NOT NULL, propensity {FLOAT} NOT NULL,
            who VARCHAR(32) NOT NULL, csm_id VARCHAR, opened_at {TIME} NOT NULL,
            due_at {TIME} NOT NULL, recover_by {TIME}, as_of {TIME} NOT NULL, probability {FLOAT},
            tier VARCHAR(16) NOT NULL, reasons {BLOB} NOT NULL, level INTEGER NOT NULL,
            escalated_at {TIME}, snoozed_until {TIME}, judgement VARCHAR(16), closed_at {TIME},
            outcome VARCHAR, dismissed_because VARCHAR, recovery VARCHAR(16), recovered_at {TIME},
            PRIMARY KEY (action_id),
            CONSTRAINT actions_occasion_once UNIQUE (account_id, play, occasion));
        CREATE UNIQUE INDEX actions_live_once ON actions (account_id, play) WHERE closed_at IS NULL;
        CREATE TABLE action_events (
            action_id VARCHAR(64) NOT NULL, kind VARCHAR(32) NOT NULL, period VARCHAR(128) NOT NULL,
            account_id VARCHAR(255) NOT NULL, at {TIME} NOT NULL, detail VARCHAR NOT NULL,
            PRIMARY KEY (action_id, kind, period),
            FOREIGN KEY(action_id) REFERENCES actions (action_id));
        CREATE INDEX action_events_account ON action_events (account_id);
        INSERT INTO actions VALUES
            ('act-1', 'a', 'call', 'score 1', 'churn', 'open', 'treated', 0.9, 'csm', 'csm-1',
             '2024-03-05 00:00:00', '2024-03-12 00:00:00', NULL, '2024-03-04 00:00:00', 0.3, 'high',
             :none, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        INSERT INTO action_events VALUES
            ('act-1', 'opened', '', 'a', '2024-03-05 00:00:00', 'score 1')
    """,
    5: """
        CREATE TABLE voice_notes (
            note_id {NUMBERED}, account_id VARCHAR(255) NOT NULL, topic VARCHAR(64) NOT NULL,
            kind VARCHAR(16) NOT NULL, route VARCHAR(16) NOT NULL, text VARCHAR NOT NULL,
            noted_at {TIME} NOT NULL, noted_by VARCHAR, closed_at {TIME}, closure VARCHAR);
        CREATE INDEX voice_notes_account ON voice_notes (account_id);
        INSERT INTO voice_notes (account_id, topic, kind, route, text, noted_at) VALUES
            ('a', 'reporting', 'wish', 'product', 'weekly numbers', '2024-03-06 00:00:00')
    """,
    6: """
        ALTER TABLE account_rows ADD COLUMN renews_at {TIME};
        ALTER TABLE score_rows ADD COLUMN change {FLOAT};
        CREATE INDEX account_rows_listed ON account_rows
            (sequence, csm_id, renews_at, segment, account_id);
        CREATE INDEX score_rows_listed ON score_rows
            (sequence, target, account_id, horizon_days, tier, probability, mrr_minor, change);
        CREATE TABLE usage_rows (
            sequence INTEGER NOT NULL, account_id VARCHAR(255) NOT NULL, usage {BLOB} NOT NULL,
            PRIMARY KEY (sequence, account_id),
            FOREIGN KEY(sequence, account_id) REFERENCES account_rows (sequence, account_id)) {NOROWID};
        CREATE TABLE account_names (
            account_id VARCHAR(255) NOT NULL, display_name VARCHAR, crm_url VARCHAR,
            PRIMARY KEY (account_id));
        CREATE TABLE api_keys (
            key_id VARCHAR(64) NOT NULL, name VARCHAR NOT NULL, scope VARCHAR(16) NOT NULL,
            salt {BLOB} NOT NULL, hash {BLOB} NOT NULL, created_at {TIME} NOT NULL,
            expires_at {TIME}, revoked_at {TIME}, PRIMARY KEY (key_id));
        CREATE TABLE store_revision (id INTEGER NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY (id));
        CREATE TABLE churnml_migration (version_num VARCHAR(32) NOT NULL,
            CONSTRAINT churnml_migration_pkc PRIMARY KEY (version_num));
        INSERT INTO store_revision VALUES (1, 41);
        INSERT INTO churnml_migration VALUES ('6');
        INSERT INTO account_names VALUES ('a', 'A of old', NULL)
    """,
}
VALUES = {
    "versions": b'{"churn":"v1"}',
    "nothing": b"{}",
    "none": b"[]",
    "features": b'{"events_7d":3.0,"need":"reporting","seats":null}',
    "reasons": b'[{"driver":"usage_trend"}]',
    "outlook": b'{"low":0.1,"calibration":{"raw":-1.0,"slope":1.0,"intercept":0.0}}',
    "evidence": b'{"roles":{}}',
}


def make_old(connection: Connection, version: int) -> None:
    """Make the tables of a version and put rows into them."""
    for number in range(1, version + 1):
        for statement in ADDED[number].format(**WORDS[connection.dialect.name]).split(";"):
            bound = {name: value for name, value in VALUES.items() if f":{name}" in statement}
            # A time of day has colons too.
            for time in (":00:00", ":30:00"):
                statement = statement.replace(time, time.replace(":", r"\:"))
            connection.execute(text(statement), bound)
    connection.execute(text("update churnml_schema set version = :now"), {"now": version})


def assert_whole(store: Store, version: int) -> None:
    """All that an old store held reads back, and what is new of it is empty and works."""
    book = store.latest_book()
    assert book is not None
    assert book.run == ScoringRun(
        "old", MONDAY, MONDAY, datetime(2024, 3, 5, 9, 30), "champion", {"churn": "v1"}, {}
    )
    first, second = book.scores
    assert (first.account_id, first.probability, first.reasons) == (
        "a",
        0.3,
        [{"driver": "usage_trend"}],
    )
    assert (second.probability, second.status, second.change) == (None, "too_little_data", None)
    assert first.outlook == ({"low": 0.1} if version >= 2 else {})
    assert bool(first.calibration) == (version >= 2)
    account, other = store.account_rows()
    features = {"events_7d": 3.0, "need": "reporting", "seats": None}
    assert other == AccountRow("b", MONDAY, None, None, "csm-1", 50.0, "EUR", features)
    assert account.evidence == ({"roles": {}} if version >= 3 else {})
    assert account.renews_at is None
    assert [row.action_id for row in store.actions.rows()] == ["act-1"] * (version >= 4)
    assert [event.kind for event in store.actions.events()] == ["opened"] * (version >= 4)
    assert [note.text for note in store.voice.notes()] == ["weekly numbers"] * (version >= 5)
    assert store.usage("a") is None
    assert store.names(["a"]) == ({"a": ("A of old", None)} if version >= 6 else {})
    assert store.forecasts.rows() == ()
    assert store.keys.rows() == ()
    before = store.revision()
    run = ScoringRun("new", NEXT_MONDAY, NEXT_MONDAY, NEXT_MONDAY, "champion", {})
    told = AccountRow("a", NEXT_MONDAY, None, None, None, 1.0, "EUR", {}, renews_at=MONDAY)
    store.write_book(run, [], [told], [("a", {"visits": 3})], {"a": ("Acme", None)})
    assert store.account("a").account == told
    assert store.usage("a") == {"visits": 3}
    assert store.revision() == before + 1


def schema_of(engine: Engine) -> dict[str, Any]:
    """Tables, columns with types and defaults, keys and indexes, as the database tells them."""
    look = inspect(engine)
    return {
        name: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in look.get_columns(name)
            ],
            "primary": look.get_pk_constraint(name)["constrained_columns"],
            "foreign": sorted(
                (key["constrained_columns"], key["referred_table"], key["referred_columns"])
                for key in look.get_foreign_keys(name)
            ),
            "unique": sorted(key["column_names"] for key in look.get_unique_constraints(name)),
            "indexes": sorted(
                (str(index["name"]), index["column_names"], bool(index["unique"]), _told(index.get("dialect_options", {})))
                for index in look.get_indexes(name)
            ),
        }
        for name in sorted(look.get_table_names())
    }  # fmt: skip


def dump(engine: Engine) -> dict[str, Any]:
    """The schema and every row."""
    with engine.connect() as connection:
        rows = {
            name: sorted(map(str, connection.execute(text(f"select * from {name}")).all()))
            for name in inspect(connection).get_table_names()
        }
    return {"schema": schema_of(engine), "rows": rows}


def _told(options: dict[str, Any]) -> list[str]:
    # A condition comes with the brackets of whoever wrote it, and in their case.
    return [f"{name}: {str(value).strip('()').lower()}" for name, value in options.items()]
