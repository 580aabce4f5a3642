"""The words of one language. Owns how `words/<language>.toml` is read; knows no account.

The files are part of the package: reading them once is like importing a module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from babel import Locale

from churnml.config import LANGUAGES
from churnml.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Language:
    """The words of one language and the locale of its numbers.

    units: number words of durations. targets: name, outcome, raises, lowers. tiers, statuses, who:
    a name each. drivers: name, neutral, no_data. features: sentences by reading (see reading.py).
    """

    code: str
    locale: Locale
    units: Mapping[str, str]
    targets: Mapping[str, Mapping[str, str]]
    tiers: Mapping[str, str]
    statuses: Mapping[str, str]
    who: Mapping[str, str]
    drivers: Mapping[str, Mapping[str, str]]
    features: Mapping[str, Mapping[str, str]]


@cache
def language(code: str) -> Language:
    """The words of a language: en, zh or ja.

    Raises: ConfigError naming the languages that exist.
    """
    if code not in LANGUAGES:
        raise ConfigError(
            f"language: found {code!r}. Expected one of {', '.join(LANGUAGES)}. Choose one."
        )
    text = (resources.files("churnml.explain") / "words" / f"{code}.toml").read_text("utf-8")
    words: dict[str, Any] = tomllib.loads(text)
    return Language(code=code, locale=Locale.parse(words.pop("locale")), **words)
