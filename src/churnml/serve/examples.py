"""Examples of answers for the documentation: real ones of a simulated company, lists cut to their first entry.

Owns the values alone; a test holds each against its shape."""  # noqa: E501

from __future__ import annotations

from typing import Any

ACCOUNT: dict[str, Any] = {
    "account_id": "A00806",
    "display_name": None,
    "crm_url": None,
    "segment": "mid",
    "need": "automation",
    "csm_id": "csm-13",
    "mrr": 276.92,
    "currency": "USD",
    "renews_at": None,
    "as_of": "2025-12-28T00:00:00Z",
    "data_through": "2025-12-28T00:00:00Z",
    "stale": True,
    "scores": [
        {
            "target": "churn",
            "horizon_days": 90,
            "lead_days": 14,
            "probability": 0.2607,
            "outlook": {
                "low": 0.1747,
                "high": 0.5429,
                "within_days": {"30": 0.0322, "60": 0.0924, "90": 0.2607},
                "days_until": {"10%": 75.3585, "50%": None, "90%": None},
                "contract_binds": False,
                "unlike_training": False,
            },
            "tier": "high",
            "status": "ok",
            "reasons": [
                {
                    "driver": "key_users",
                    "feature": "days_since_champion_event",
                    "value": 67.0,
                    "unit": "days",
                    "contribution": 0.5701,
                    "text": "The champion has not been active for 67 days (typical here: 4)",
                    "protective": False,
                }
            ],
            "action": {
                "play": "detractor_followup",
                "title": "Call whoever gave the low score",
                "text": "Call within two days and listen first. Why: Help articles help "
                "them little: only 33% of their votes are positive (typical here: "
                "67%). Tell them by when they will hear what changes, and keep "
                "that date.",
                "who": "csm",
                "due_days": 2,
            },
            "model_version": "2025-12-28-00752029",
            "as_of": "2025-12-28T00:00:00Z",
            "data_through": "2025-12-28T00:00:00Z",
            "stale": True,
            "change": None,
            "mrr_at_risk": 72.1824,
        }
    ],
    "health": [
        {
            "definition": "risk",
            "purpose": "risk",
            "threshold": 50,
            "score": 59.0476,
            "coverage": 1.0,
            "families": [
                {"name": "usage", "weight_share": 0.5, "score": 46.0952, "known": 4, "signals": 4}
            ],
            "opens": None,
        }
    ],
    "milestones": None,
    "notes": [],
    "actions": [
        {
            "action_id": "8a19cee134fb4c43",
            "account_id": "A00806",
            "play": "detractor_followup",
            "title": "Call whoever gave the low score",
            "text": "Call within two days and listen first. Why: Satisfaction: 33% of their "
            "votes on help articles are positive. Tell them by when they will hear what "
            "changes, and keep that date.",
            "step": None,
            "reason": "Key users: a champion last active 67 days ago",
            "target": "churn",
            "state": "open",
            "who": "csm",
            "csm_id": "csm-13",
            "effort_hours": 1.0,
            "opened_at": "2025-12-28T00:00:00Z",
            "due_at": "2025-12-30T00:00:00Z",
            "overdue": True,
            "as_of": "2025-12-28T00:00:00Z",
            "probability": 0.2607,
            "tier": "high",
            "level": 0,
            "escalated_at": None,
            "snoozed_until": None,
            "judgement": None,
            "closed_at": None,
            "outcome": None,
            "dismissed_because": None,
            "recovery": None,
            "recovered_at": None,
        }
    ],
    "versions": {
        "churnml": "0.1.0",
        "catalog_fingerprint": "320ba09a79b3",
        "configuration": "706700fd4843",
        "models": {"churn": "2025-12-28-00752029", "contraction": "2025-12-28-dfc2129b"},
    },
    "trace_id": "5af4ba7ec4fb9c57dec2f6797357ec37",
}
WHAT_IF: dict[str, Any] = {
    "account_id": "A00806",
    "as_of": "2025-12-28T00:00:00Z",
    "supposed": [
        {
            "target": "churn",
            "horizon_days": 90,
            "status": "ok",
            "before": {
                "probability": 0.2607,
                "tier": "high",
                "reasons": [
                    {
                        "driver": "key_users",
                        "feature": "days_since_champion_event",
                        "value": 67.0,
                        "unit": "days",
                        "contribution": 0.5701,
                        "text": "No champion has been active for 67 days (typical here: 4)",
                        "protective": False,
                    }
                ],
            },
            "after": {
                "probability": 0.1995,
                "tier": "medium",
                "reasons": [
                    {
                        "driver": "key_users",
                        "feature": "days_since_champion_event",
                        "value": 67.0,
                        "unit": "days",
                        "contribution": 0.4298,
                        "text": "No champion has been active for 67 days (typical here: 4)",
                        "protective": False,
                    }
                ],
            },
            "moves": [{"feature": "events_28d_per_week", "before": 1.75, "after": 60.0}],
            "beyond": ["events_28d_per_week"],
            "unused": [],
            "text": "the model would expect 20% instead of 26%",
            "caveat": "This is what the model would say of such an account. It has seen who "
            "stays, not what keeps them: no promise.",
        }
    ],
    "what_if": [],
}
RESULTS: dict[str, Any] = {
    "results": [
        {
            "account_id": "A00806",
            "status": "ok",
            "scores": [
                {
                    "target": "churn",
                    "horizon_days": 90,
                    "lead_days": 14,
                    "probability": 0.2607,
                    "outlook": {
                        "low": 0.1747,
                        "high": 0.5429,
                        "within_days": {"30": 0.0322, "60": 0.0924, "90": 0.2607},
                        "days_until": {"10%": 75.3585, "50%": None, "90%": None},
                        "contract_binds": False,
                        "unlike_training": False,
                    },
                    "tier": "high",
                    "status": "ok",
                    "reasons": [
                        {
                            "driver": "key_users",
                            "feature": "days_since_champion_event",
                            "value": 67.0,
                            "unit": "days",
                            "contribution": 0.5701,
                            "text": "The champion has not been active for 67 days "
                            "(typical here: 4)",
                            "protective": False,
                        }
                    ],
                    "action": {
                        "play": "detractor_followup",
                        "title": "Call whoever gave the low score",
                        "text": "Call within two days and listen first. Why: Help "
                        "articles help them little: only 33% of their votes "
                        "are positive (typical here: 67%). Tell them by when "
                        "they will hear what changes, and keep that date.",
                        "who": "csm",
                        "due_days": 2,
                    },
                    "model_version": "2025-12-28-00752029",
                    "as_of": "2025-12-28T00:00:00Z",
                    "data_through": "2025-12-28T00:00:00Z",
                    "stale": True,
                }
            ],
            "errors": [],
        },
        {
            "account_id": "nobody",
            "status": "not_found",
            "scores": [],
            "errors": [
                {
                    "where": "accounts[1]",
                    "message": "not in the book; expected an account that pays, is old "
                    "enough to judge and is not leaving already",
                }
            ],
        },
    ]
}
ACTIONS: dict[str, Any] = {
    "actions": [
        {
            "action_id": "2439c9ac8843c470",
            "account_id": "A00040",
            "play": "detractor_followup",
            "title": "Call whoever gave the low score",
            "text": "Call within two days and listen first. Why: Satisfaction: CSAT 3 of 5. Tell "
            "them by when they will hear what changes, and keep that date.",
            "step": None,
            "reason": "Satisfaction: CSAT 3 of 5",
            "target": "churn",
            "state": "open",
            "who": "csm",
            "csm_id": "csm-15",
            "effort_hours": 1.0,
            "opened_at": "2025-12-28T00:00:00Z",
            "due_at": "2025-12-30T00:00:00Z",
            "overdue": True,
            "as_of": "2025-12-28T00:00:00Z",
            "probability": 0.1265,
            "tier": "medium",
            "level": 0,
            "escalated_at": None,
            "snoozed_until": None,
            "judgement": None,
            "closed_at": None,
            "outcome": None,
            "dismissed_because": None,
            "recovery": None,
            "recovered_at": None,
        }
    ],
    "next": "WyIyMDI1LTEyLTMwVDAwOjAwOjAwLjAwMDAwMCIsIkEwMDA1MiIsImRldHJhY3Rvcl9mb2xsb3d1cCIsIjdlMTU3NThkYWUxN2RlOGUiXQ",  # noqa: E501
}
ACCOUNT_ACTIONS: dict[str, Any] = {
    "account_id": "A00040",
    "actions": [
        {
            "action_id": "2439c9ac8843c470",
            "account_id": "A00040",
            "play": "detractor_followup",
            "title": "Call whoever gave the low score",
            "text": "Call within two days and listen first. Why: Satisfaction: CSAT 3 of 5. Tell "
            "them by when they will hear what changes, and keep that date.",
            "step": None,
            "reason": "Satisfaction: CSAT 3 of 5",
            "target": "churn",
            "state": "open",
            "who": "csm",
            "csm_id": "csm-15",
            "effort_hours": 1.0,
            "opened_at": "2025-12-28T00:00:00Z",
            "due_at": "2025-12-30T00:00:00Z",
            "overdue": True,
            "as_of": "2025-12-28T00:00:00Z",
            "probability": 0.1265,
            "tier": "medium",
            "level": 0,
            "escalated_at": None,
            "snoozed_until": None,
            "judgement": None,
            "closed_at": None,
            "outcome": None,
            "dismissed_because": None,
            "recovery": None,
            "recovered_at": None,
        }
    ],
}
STORY: dict[str, Any] = {
    "action": {
        "action_id": "2439c9ac8843c470",
        "account_id": "A00040",
        "play": "detractor_followup",
        "title": "Call whoever gave the low score",
        "text": "Call within two days and listen first. Why: Satisfaction: CSAT 3 of 5. Tell "
        "them by when they will hear what changes, and keep that date.",
        "step": None,
        "reason": "Satisfaction: CSAT 3 of 5",
        "target": "churn",
        "state": "open",
        "who": "csm",
        "csm_id": "csm-15",
        "effort_hours": 1.0,
        "opened_at": "2025-12-28T00:00:00Z",
        "due_at": "2025-12-30T00:00:00Z",
        "overdue": True,
        "as_of": "2025-12-28T00:00:00Z",
        "probability": 0.1265,
        "tier": "medium",
        "level": 0,
        "escalated_at": None,
        "snoozed_until": None,
        "judgement": None,
        "closed_at": None,
        "outcome": None,
        "dismissed_because": None,
        "recovery": None,
        "recovered_at": None,
    },
    "events": [{"kind": "opened", "at": "2025-12-28T00:00:00Z", "detail": "score 1"}],
}
MODELS: dict[str, Any] = {
    "models": [
        {
            "target": "churn",
            "model_version": "2025-12-28-00752029",
            "horizon_days": 90,
            "lead_days": 14,
            "grace_days": 30,
            "catalog_fingerprint": "fad928837d65",
            "data_through": "2025-12-28T00:00:00Z",
            "promoted_at": "2026-11-23T06:46:59Z",
            "trained_rows": 15059,
            "trained_outcomes": 127,
            "metrics": {
                "alerted_share": {
                    "high": 0.3643549704021228,
                    "low": 0.1663888350455515,
                    "value": 0.28169014084507044,
                },
                "brier": {
                    "high": 0.07806317098215723,
                    "low": 0.04996041870230178,
                    "value": 0.06435803247783889,
                },
            },
            "features": [{"name": "events_7d"}, {"name": "events_28d_per_week"}],
            "card": "# Churn within 90 days: model card\n"
            "\n"
            "Version `2025-12-28-00752029`. By its gate it **may be promoted**.\n"
            "\n"
            "## Data\n"
            "\n"
            "Data th",
        }
    ]
}
