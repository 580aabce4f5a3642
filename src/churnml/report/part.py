"""What a section hands to the page. Owns that shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """One section of the page: where it is linked to, its title in the contents, its template and what
    the template asks for."""

    anchor: str
    title: str
    template: str
    view: Any
