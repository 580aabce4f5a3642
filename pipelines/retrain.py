"""Check → train → promote what the gate lets: `python pipelines/retrain.py PROJECT`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from churnml.errors import ChurnmlError, ContractError, Refused
from churnml.stages.check import check
from churnml.stages.project import open_project
from churnml.stages.promote import promote
from churnml.stages.train import train


def retrain(folder: Path) -> None:
    """Raises: ChurnmlError if a step fails, or no target has a champion of these data after it."""
    project = open_project(folder)
    if faults := check(project).errors:
        raise ContractError(faults)
    results = train(project, say=print)
    for refused in (result for result in results if result.refused):
        print(f"{refused.target}: not trained. {refused.refused}")
    trained = [result.target for result in results if not result.refused]
    if not trained:
        raise Refused("no target could be trained; the reasons stand above.")
    promotions = promote(project, trained)
    for promotion in promotions:
        print(f"{promotion.target}: {promotion.outcome}, {promotion.model_version}")
        for objection in (c["sentence"] for c in promotion.checks if c["result"] != "passed"):
            print(f"  {objection}")
    if not any(promotion.outcome in ("promoted", "already") for promotion in promotions):
        raise Refused("nothing was promoted; champions are as they were. See why above.")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, help="folder with churnml.toml")
    try:
        retrain(parser.parse_args().project)
    except ChurnmlError as error:
        sys.exit(f"retrain: {error}")
