"""The example of a page of the book that the documentation shows. Owns it alone."""

from __future__ import annotations

from churnml.serve.shapes_book import BookShape

EXAMPLE: BookShape = {
    "run_id": "20251228-f8ece019a120",
    "created_at": "2025-12-29T06:47:00Z",
    "as_of": "2025-12-28T00:00:00Z",
    "data_through": "2025-12-28T00:00:00Z",
    "stale": False,
    "target": "churn",
    "total": 607,
    "next_cursor": "uc1RGzCkRp0AAAABAUDsowPxfIwDQTAwMDEz",
    "accounts": [
        {
            "account_id": "A00013",
            "segment": "mid",
            "need": "analytics",
            "csm_id": "csm-16",
            "mrr": 2231.06,
            "currency": "USD",
            "renews_at": "2026-01-22T00:00:00Z",
            "scores": [
                {
                    "target": "churn",
                    "horizon_days": 90,
                    "lead_days": 14,
                    "probability": 0.2628711160987778,
                    "low": 0.17568360240468786,
                    "high": 0.5496582221862081,
                    "tier": "high",
                    "status": "ok",
                    "change": 0.0412733904571821,
                    "mrr_at_risk": 586.48,
                    "reason": "The admin has not been active for 94 days (typical here: 6)",
                    "action": {"play": "renewal_ahead", "title": "Prepare the renewal"},
                    "model_version": "2025-12-28-00752029",
                },
                {
                    "target": "expansion",
                    "horizon_days": 90,
                    "lead_days": 14,
                    "probability": None,
                    "low": None,
                    "high": None,
                    "tier": "unknown",
                    "status": "too_little_data",
                    "change": None,
                    "mrr_at_risk": None,
                    "reason": None,
                    "action": {"play": "get_data", "title": "Get data"},
                    "model_version": "2025-12-28-35b9c1fa",
                },
            ],
        }
    ],
}
