"""What the server holds: taken up when it changes, kept when it breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import export_champion
from churnml.serve import desk as desk_module
from churnml.serve.desk import Desk

BundleOf = Callable[..., Bundle]


def versions(desk: Desk) -> dict[str, str]:
    held = desk.held(at_once=True)
    return {target: bundle.model_version for target, bundle in held.bundles.items()}


def test_a_project_without_a_model_is_not_ready_and_says_why(project: Path) -> None:
    held = Desk(project).held(at_once=True)
    assert "No model is promoted yet" in (held.why_not or "")


def test_a_folder_without_a_project_is_not_ready_and_names_no_path(tmp_path: Path) -> None:
    held = Desk(tmp_path).held(at_once=True)
    assert held.why_not == "The project has no churnml.toml that can be read."


def test_a_champion_that_is_promoted_meanwhile_is_taken_up(
    served: Path, bundle_of: BundleOf
) -> None:
    desk = Desk(served)
    assert versions(desk) == {"churn": "2024-03-03-aaaaaaaa"}
    export_champion(bundle_of(version="2024-03-10-bbbbbbbb"), served / "bundles")
    export_champion(bundle_of("expansion"), served / "bundles")
    assert versions(desk) == {"churn": "2024-03-10-bbbbbbbb", "expansion": "2024-03-03-aaaaaaaa"}


def test_a_champion_that_cannot_be_read_leaves_the_old_one_serving(
    served: Path, bundle_of: BundleOf
) -> None:
    desk = Desk(served)
    versions(desk)
    folder = export_champion(bundle_of(version="2024-03-10-bbbbbbbb"), served / "bundles")
    (folder / "model.txt").write_text("torn", encoding="utf-8")
    assert versions(desk) == {"churn": "2024-03-03-aaaaaaaa"}
    assert desk.held().why_not is None


def test_a_changed_configuration_is_read_again_and_a_broken_one_stops_readiness(
    served: Path,
) -> None:
    desk = Desk(served)
    assert desk.held(at_once=True).need_config().language == "en"
    config = served / "churnml.toml"
    config.write_text('version = 1\nname = "acme"\nlanguage = "ja"\n', encoding="utf-8")
    assert desk.held(at_once=True).need_config().language == "ja"
    config.write_text("version =", encoding="utf-8")
    assert desk.held(at_once=True).why_not


def test_the_project_is_looked_at_only_now_and_then(
    served: Path, bundle_of: BundleOf, monkeypatch: Any
) -> None:
    clock = [100.0]
    monkeypatch.setattr(desk_module.time, "monotonic", lambda: clock[0])
    desk = Desk(served)
    desk.held()
    export_champion(bundle_of(version="2024-03-10-bbbbbbbb"), served / "bundles")
    assert desk.held().bundles["churn"].model_version == "2024-03-03-aaaaaaaa"
    clock[0] += desk_module.CHECK_EVERY_S
    assert desk.held().bundles["churn"].model_version == "2024-03-10-bbbbbbbb"


def test_a_store_that_cannot_be_opened_lets_nobody_in_for_it_holds_the_keys(
    served: Path, client_of: Callable[..., TestClient], monkeypatch: Any
) -> None:
    monkeypatch.setenv("CHURNML_STORE_URL", "nosuchdb://x/y")
    client = client_of(served)
    answer = client.get("/v1/accounts/a1")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    body = {"rows": [{"account_id": "x", "features": {"events_28d_per_week": 1.0}}]}
    assert client.post("/v1/score", json=body).status_code == 503
    assert client.get("/v1/openapi.json").status_code == 200


def test_a_server_without_a_model_refuses_rows_and_answers_from_the_book(
    served: Path, client_of: Callable[..., TestClient]
) -> None:
    (served / "bundles" / "churn" / "CURRENT").unlink()
    client = client_of(served)
    body = {"rows": [{"account_id": "x", "features": {"events_7d": 1.0}}]}
    assert client.post("/v1/score", json=body).status_code == 503
    assert client.get("/v1/accounts/a1").status_code == 200
