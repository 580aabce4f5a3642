"""Take over a trained model's papers: `python models/keep.py BUNDLE …`, a bundle's folder each.

Writes `models/<target>/card.md` and `models/<target>/features.lock`. Owns their layout; trains nothing,
and leaves params.toml to its reviewers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from churnml.errors import ChurnmlError
from churnml.features.catalog import BY_NAME, fingerprint
from churnml.scoring.bundle import load_bundle

MODELS = Path(__file__).parent
OF_WHOM = """\
> The model of the simulated company that `churnml demo` makes (`churnml simulate`, seed 7). It shows
> what a card looks like and what the defaults can do there; it says nothing about your company's
> model, whose card lies in its bundle. Below, the card as training wrote it.

"""


def lock_text(names: Sequence[str]) -> str:
    """The lock of a model that uses these features: a line each, sorted, under the fingerprint.

    Raises: ChurnmlError if the catalogue declares one of them no more.
    """
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        raise ChurnmlError(
            f"features.lock: the catalogue declares no {', '.join(unknown)}. Expected the features "
            "of a model trained with this catalogue. Train it again, then keep that one."
        )
    features = [BY_NAME[name] for name in sorted(names)]
    lines = [f"{f.name} | {f.unit} | {f.driver} | {f.family}" for f in features]
    return "\n".join(
        [
            "# Written by models/keep.py. feature | unit | driver | family",
            f"# catalogue {fingerprint(features)}, {len(features)} features",
            *lines,
            "",
        ]
    )


def keep(folder: Path) -> Path:
    """Write the papers of the bundle in `folder`; returns the target's folder.

    Raises: ChurnmlError if the bundle is broken, or was trained with another catalogue.
    """
    bundle = load_bundle(folder, with_model=False)
    lock = lock_text(bundle.features)
    if f"# catalogue {bundle.catalog_fingerprint}," not in lock:
        raise ChurnmlError(
            f"{folder}: trained with catalogue {bundle.catalog_fingerprint}, which has changed since. "
            "Expected a model of this catalogue. Train it again, then keep that one."
        )
    home = MODELS / bundle.target
    (home / "features.lock").write_text(lock, encoding="utf-8")
    (home / "card.md").write_text(OF_WHOM + bundle.card, encoding="utf-8")
    return home


if __name__ == "__main__":
    try:
        for argument in sys.argv[1:]:
            print(f"Wrote the card and the lock in {keep(Path(argument))}")
    except ChurnmlError as error:
        sys.exit(f"keep: {error}")
