"""The example of an account's history that the documentation shows. Owns it alone."""

from __future__ import annotations

from churnml.serve.shapes_book import HistoryShape

EXAMPLE: HistoryShape = {
    "account_id": "A00001",
    "earlier": 3,
    "books": [
        {
            "as_of": "2025-12-28T00:00:00Z",
            "data_through": "2025-12-28T00:00:00Z",
            "scores": [
                {
                    "target": "churn",
                    "horizon_days": 90,
                    "lead_days": 14,
                    "probability": 0.04337123875507594,
                    "low": 0.022934258664506945,
                    "high": 0.08072544780837933,
                    "tier": "low",
                    "status": "ok",
                    "model_version": "2025-12-28-00752029",
                    "change": 0.003311928230373108,
                    "ledger": {
                        "summary": "4.0% → 4.3%: +0.3 points",
                        "before": {
                            "as_of": "2025-10-26T00:00:00Z",
                            "model_version": "2025-12-28-00752029",
                            "horizon_days": 90,
                            "lead_days": 14,
                            "probability": 0.04005931052470283,
                        },
                        "after": {
                            "as_of": "2025-12-28T00:00:00Z",
                            "model_version": "2025-12-28-00752029",
                            "horizon_days": 90,
                            "lead_days": 14,
                            "probability": 0.04337123875507594,
                        },
                        "points": 0.3311928230373108,
                        "log_odds": 0.08289150475122398,
                        "untold": None,
                        "parts": [
                            {
                                "kind": "driver",
                                "log_odds": 0.08289150475122398,
                                "points": 0.3311928230373108,
                                "driver": "key_users",
                                "moves": [
                                    {
                                        "feature": "days_since_admin_event",
                                        "before": 4.0,
                                        "after": 67.0,
                                        "unit": "days",
                                        "log_odds": 0.08289150475122398,
                                        "points": 0.3311928230373108,
                                    }
                                ],
                                "binds": None,
                            }
                        ],
                        "lines": [
                            {
                                "text": "Key users: an admin last active 4 → 67 days ago",
                                "points": "+0.3",
                                "of_which": [],
                            }
                        ],
                        "notes": [],
                    },
                }
            ],
        }
    ],
}
