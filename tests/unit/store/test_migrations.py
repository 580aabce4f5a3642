"""Migrations: every old store opens with what it held, a failed one stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import datetime
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine, create_engine, text
from tests.unit.store.old_stores import OLD, assert_whole, dump, make_old, schema_of

from churnml.errors import ChurnmlError
from churnml.store import opening, tables
from churnml.store.rows import AccountRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

MONDAY = datetime(2024, 3, 4)


def old_store(path: Path, version: int) -> str:
    url = sqlite_url(path)
    engine = create_engine(url)
    with engine.begin() as connection:
        make_old(connection, version)
    engine.dispose()
    return url


def seen(url: str) -> Engine:
    return create_engine(url)


@pytest.mark.parametrize("version", OLD)
def test_a_store_of_an_old_version_opens_with_all_that_it_held(
    tmp_path: Path, version: int
) -> None:
    url = old_store(tmp_path / "store.db", version)
    store = open_store(url)
    assert_whole(store, version)
    store.close()
    open_store(sqlite_url(tmp_path / "fresh.db")).close()
    assert schema_of(seen(url)) == schema_of(seen(sqlite_url(tmp_path / "fresh.db")))


def test_the_steps_alone_lead_to_the_tables_that_a_fresh_store_gets(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from churnml.store.migrate import SCRIPTS

    engine = create_engine(sqlite_url(tmp_path / "steps.db"))
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    open_store(sqlite_url(tmp_path / "fresh.db")).close()
    assert schema_of(engine) == schema_of(seen(sqlite_url(tmp_path / "fresh.db")))
    assert ScriptDirectory.from_config(config).get_heads() == [str(tables.SCHEMA_VERSION)]


# The last step makes report_forecasts last: all other steps are done when it fails.
IN_THE_WAY = "create table report_forecasts (somebody text)"


@pytest.mark.parametrize("version", OLD)
def test_a_failed_migration_leaves_the_store_as_it_was(tmp_path: Path, version: int) -> None:
    url = old_store(tmp_path / "store.db", version)
    with seen(url).begin() as connection:
        connection.execute(text(IN_THE_WAY))
    before = dump(seen(url))
    for _ in range(2):
        with pytest.raises(
            ChurnmlError, match=rf"from version {version} to 7 \(table report_forecasts"
        ):
            open_store(url)
        assert dump(seen(url)) == before
    with seen(url).begin() as connection:
        connection.execute(text("drop table report_forecasts"))
    store = open_store(url)
    assert_whole(store, version)
    store.close()


def test_a_migration_that_is_killed_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    url = old_store(tmp_path / "store.db", 1)
    before = dump(seen(url))
    script = """
        import os, signal, sys
        from churnml.store import migrate, store
        def die(*_): os.kill(os.getpid(), signal.SIGKILL)
        done = migrate.command.upgrade
        migrate.command.upgrade = lambda *given: (done(*given), die())
        store.open_store(sys.argv[1])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert ended.returncode == -9
    assert dump(seen(url)) == before
    store = open_store(url)
    assert_whole(store, 1)
    store.close()


@pytest.mark.parametrize("version", [0, 1, 6])
def test_many_that_open_a_store_at_once_all_get_it_whole(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store.db"
    url = old_store(path, version) if version else sqlite_url(path)
    faults: list[BaseException] = []

    def look() -> None:
        try:
            store = open_store(url)
            store.revision()
            store.close()
        except BaseException as error:
            faults.append(error)

    threads = [Thread(target=look) for _ in range(4)]
    others = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from churnml.store.store import open_store; open_store({url!r}).revision()",
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(120) for process in others] == [0, 0]
    assert faults == []
    if version:
        store = open_store(url)
        assert_whole(store, version)
        store.close()


def test_a_store_that_is_newer_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "store.db")
    open_store(url).close()
    with seen(url).begin() as connection:
        connection.execute(text("update churnml_schema set version = 99"))
    before = dump(seen(url))
    with pytest.raises(
        ChurnmlError, match=r"version 99\. This churnml expects version 7 or an older"
    ):
        open_store(url)
    assert dump(seen(url)) == before


def test_alembic_is_not_imported_for_a_store_at_head(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "store.db")
    script = """
        import sys
        from churnml.store.store import open_store
        for _ in range(2):  # one that is made, and one that is there
            open_store(sys.argv[1]).close()
        assert not any(name.partition(".")[0] == "alembic" for name in sys.modules)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )


def test_a_reader_opens_while_a_book_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_MS", 50)
    url = sqlite_url(tmp_path / "store.db")
    store = open_store(url)

    def accounts() -> list[AccountRow]:
        return []

    def usage():  # type: ignore[no-untyped-def]
        open_store(url).close()
        yield from ()

    store.write_book(
        ScoringRun("one", MONDAY, MONDAY, MONDAY, "champion", {}), [], accounts(), usage()
    )
    store.close()
