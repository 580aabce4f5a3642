"""What would have to be true, as a CSM reads it, in every language.

Compared word for word with what_ifs.md. After a change of words, write it anew with
`CHURNML_REWRITE_GOLDEN=1 pytest tests/golden` and read it through: would a CSM say that to a colleague?"""

from __future__ import annotations

import os
from pathlib import Path

from churnml.config import LANGUAGES
from churnml.explain.candidates import Alternative, Move, Step
from churnml.explain.counterfactual import WhatIf
from churnml.explain.what_if import tell_what_if

GOLDEN = Path(__file__).parent / "what_ifs.md"

USE = Step(
    "use",
    0.5,
    (
        Move("events_28d_per_week", 100.0, 160.0),
        Move("logins_28d_per_week", 20.0, 31.0),
        Move("active_users_28d", 4.0, 5.0),
        Move("events_segment_rank", 0.2, 0.35),
    ),
)
ADOPTION = Step(
    "adoption",
    0.5,
    (
        Move("completed_segment_rank", 0.1, 0.2),
        Move("modules_completed_90d", 1.0, 3.0),
        Move("completed_of_viewed_28d_share", 0.08, 0.2),
    ),
)
KEY_USERS = Step(
    "key_users",
    0.25,
    (Move("key_users", 1.0, 2.0), Move("days_since_champion_event", 41.0, 5.0)),
)
SUPPORT = Step(
    "support",
    1.0,
    (Move("open_tickets", 4.0, 1.0), Move("resolution_90d_days", 6.4, 2.2)),
)
SATISFACTION = Step("satisfaction", 0.75, (Move("csat_90d", 2.7, 3.9), Move("nps_last", 5.6, 7.1)))
BREADTH = Step("breadth", 1.0, (Move("modules_28d", 2.0, 3.0), Move("event_kinds_28d", 5.0, 8.0)))
ONBOARDING = Step(
    "onboarding",
    0.5,
    (Move("milestones_overdue", 3.0, 1.0), Move("milestones_reached_share", 0.4, 0.8)),
)
ONLY_PLACES = Step("use", 0.25, (Move("active_users_segment_rank", 0.3, 0.42),))

CASES = {
    "Three ways, one step each": WhatIf(
        "reached", "churn", 0.31, 0.25,
        (
            Alternative((USE,), 0.22, 0.24, ()),
            Alternative((SUPPORT,), 0.24, 0.1, ()),
            Alternative((SATISFACTION,), 0.23, 0.16, ()),
        ),
    ),
    "Two steps together": WhatIf(
        "reached", "churn", 0.58, 0.5, (Alternative((USE, ADOPTION), 0.47, 0.062, ()),)
    ),
    "The key users and the breadth": WhatIf(
        "reached", "contraction", 0.27, 0.25, (Alternative((BREADTH, KEY_USERS), 0.2468, 0.11, ()),)
    ),
    "A new customer": WhatIf(
        "reached", "churn", 0.12, 0.1, (Alternative((ONBOARDING,), 0.071, 0.3, ()),)
    ),
    "Growth": WhatIf(
        "reached", "expansion", 0.18, 0.25, (Alternative((ONLY_PLACES, KEY_USERS), 0.29, 0.08, ()),)
    ),
    "Not within reach": WhatIf(
        "infeasible", "churn", 0.41, 0.2,
        nearest=Alternative((USE, ADOPTION, KEY_USERS), 0.27, 0.013, ()),
    ),
    "Growth not within reach": WhatIf(
        "infeasible", "expansion", 0.06, 0.1, nearest=Alternative((ADOPTION,), 0.08, 0.12, ())
    ),
    "Nothing helps": WhatIf("infeasible", "churn", 0.3, 0.25),
    "It has stopped": WhatIf("infeasible", "churn", 0.62, 0.5, stopped=True),
    "It has stopped, yet support could": WhatIf(
        "infeasible", "churn", 0.62, 0.5, nearest=Alternative((SUPPORT,), 0.57, 0.1, ()),
        stopped=True,
    ),
    "In the best tier": WhatIf("already", "churn", 0.04, None),
    "Already where asked": WhatIf("already", "churn", 0.04, 0.1),
    "A contract that cannot end": WhatIf("contract_binds", "churn", 0.3, 0.25),
    "Too little data": WhatIf("too_little_data", "churn", None, None),
    "Another model": WhatIf("other_model", "churn", 0.3, 0.25),
    "A model of before": WhatIf("not_learned", "churn", 0.3, 0.25),
    "Snapshots too far apart": WhatIf("no_pairs", "churn", 0.3, 0.25),
}  # fmt: skip


def test_what_ifs_read_as_they_were_read_through() -> None:
    text = "# What would have to be true\n"
    for title, found in CASES.items():
        text += f"\n## {title}\n"
        for lang in LANGUAGES:
            lines = "\n".join(tell_what_if(found, lang, "USD").lines())
            text += f"\n### {lang}\n\n```text\n{lines}\n```\n"
    if os.environ.get("CHURNML_REWRITE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")
