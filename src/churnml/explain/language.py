"""The words of one language. Owns how `words/<language>.toml` is read; knows no account.

The files are part of the package: reading them once is like importing a module. A feature with sentences
of its own speaks by them; any other by the sentences of its kind and the name of what it measures."""

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
from churnml.features.catalog import CATALOG
from churnml.features.spec import Feature, is_change


@dataclass(frozen=True, eq=False)
class Language:
    """The words of one language and the locale of its numbers.

    units: number words of durations. targets: name, outcome, raises, lowers. tiers, statuses, who, steps: a
    name each. action: an action in a line. change: why a score changed. what_if: what would have to be
    true. drivers: name, neutral, no_data. features: sentences by reading (see reading.py), of every feature
    of the catalogue. named: those that speak by the sentences of their kind. fuller: sentences that need
    the account's evidence (evidence.py), by feature and reading. phrases, roles: the parts of such
    sentences. stages: of an account's life. account: what is told beside its scores
    (actions/beside.py).
    """

    code: str
    locale: Locale
    units: Mapping[str, str]
    targets: Mapping[str, Mapping[str, str]]
    tiers: Mapping[str, str]
    statuses: Mapping[str, str]
    who: Mapping[str, str]
    action: Mapping[str, str]
    change: Mapping[str, str]
    steps: Mapping[str, str]
    what_if: Mapping[str, str]
    drivers: Mapping[str, Mapping[str, str]]
    features: Mapping[str, Mapping[str, str]]
    named: frozenset[str]
    fuller: Mapping[str, Mapping[str, tuple[str, ...]]]
    phrases: Mapping[str, str]
    roles: Mapping[str, Mapping[str, str]]
    stages: Mapping[str, str]
    account: Mapping[str, str]


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
    sentences, names = words.pop("sentences"), words.pop("names", {})
    own = words.pop("features")
    features = {
        feature.name: own.get(feature.name)
        or _spoken(sentences[_kind(feature)], names.get(feature.name, feature.what))
        for feature in CATALOG
    }
    fuller = {
        name: {
            key: (told,) if isinstance(told, str) else tuple(told) for key, told in entry.items()
        }
        for name, entry in words.pop("fuller").items()
    }
    return Language(
        code=code,
        fuller=fuller,
        locale=Locale.parse(words.pop("locale")),
        features=features,
        named=frozenset(features.keys() - own.keys()),
        **words,
    )


def _kind(feature: Feature) -> str:
    if feature.categorical:
        return "text"
    return "change" if is_change(feature) else feature.tells


def _spoken(sentences: Mapping[str, str], name: str) -> dict[str, str]:
    """The sentences of a kind about one thing, by reading."""
    return {
        reading: text.replace("{name}", name).replace("{Name}", name[:1].upper() + name[1:])
        for reading, text in sentences.items()
    }
