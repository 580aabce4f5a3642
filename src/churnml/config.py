"""What a company decides, read from `churnml.toml`. Owns every default and its validation; opens no file.

`stages/project.py` reads the file and hands the text over. Units stand in the names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from churnml.errors import ConfigError

TargetName = Literal["churn", "contraction", "expansion"]
TARGETS: tuple[TargetName, ...] = ("churn", "contraction", "expansion")
AuditCheck = Literal[
    "single_feature_auc",
    "knows_the_date",
    "filled_only_for_churners",
    "target_time_mutation",
    "late_arrival",
]
TIERS = ("low", "medium", "high", "critical")
LANGUAGES = ("en", "zh", "ja")
_Declared = TypeVar("_Declared", bound=BaseModel)


def _plain_date(value: Any) -> Any:
    """TOML dates arrive as `date`; quoted ones as text. Both are fine."""
    return date.fromisoformat(value) if isinstance(value, str) else value


PlainDate = Annotated[date, BeforeValidator(_plain_date)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(_Frozen):
    """Where the tables lie: a folder or a DuckDB file (`path`, relative to the project folder), or a
    PostgreSQL database (`url`). `schema` is the database's schema that holds them."""

    kind: Literal["folder", "duckdb", "postgres"] = "folder"
    path: str = "data"
    url: str | None = None
    schema_name: str | None = Field(None, alias="schema", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    data_through: PlainDate | None = None  # default: the latest moment that the event log knows

    @model_validator(mode="after")
    def _fits_kind(self) -> SourceConfig:
        given = self.model_fields_set
        if self.kind == "folder" and "schema_name" in given:
            raise ValueError('`schema` is for kind = "duckdb" or "postgres"')
        if self.kind != "postgres" and "url" in given:
            raise ValueError('`url` is for kind = "postgres"')
        if self.kind == "postgres" and "path" in given:
            raise ValueError('`path` is for kind = "folder" or "duckdb"')
        return self


class TableConfig(_Frozen):
    """One table: a file or glob under `source.path`, or SQL over the raw exports there."""

    file: str | None = None
    sql: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> TableConfig:
        if (self.file is None) == (self.sql is None):
            raise ValueError("give either `file` or `sql`, and not both")
        return self


class EventsConfig(_Frozen):
    """`meaning` maps what events mean (login, page_view, export …) to the company's own names."""

    meaning: dict[str, list[str]] = Field(default_factory=dict)


class LedgerConfig(_Frozen):
    """How subscription rows become MRR (the ledger)."""

    grace_days: int = Field(30, ge=0)
    basis: Literal["list", "net"] | None = None  # default: list where list prices exist, else net
    neutral_end_reasons: tuple[str, ...] = ("merged", "completed")


class CalendarConfig(_Frozen):
    """When snapshots are taken. `dates` wins over `every`."""

    every: Literal["week", "month"] = "week"
    weekday: Literal[
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    ] = "monday"
    start: PlainDate | None = None
    end: PlainDate | None = None
    dates: tuple[PlainDate, ...] = ()


class CohortConfig(_Frozen):
    """Which accounts are eligible at an `as_of`."""

    min_age_days: int = Field(28, ge=0)
    billing_months: tuple[int, ...] = ()  # only accounts billed so (1: monthly); empty: all


class TargetConfig(_Frozen):
    """One outcome to predict, over (as_of + lead_days, as_of + lead_days + horizon_days].

    horizons: shorter ones that are told beside it. renewals: whether a contract that renews after the
    window rules the outcome out: "binding", "open" (it doesn't), or "auto", which looks at the data.
    """

    lead_days: int = Field(14, ge=0)
    horizon_days: int = Field(90, ge=1)
    horizons: tuple[int, ...] | None = None  # default: those of 30 and 60 that are shorter
    renewals: Literal["auto", "binding", "open"] = "auto"
    min_change_share: float = Field(0.05, gt=0, le=1)
    mode: Literal["window_end", "any_time"] = "window_end"
    basis: Literal["list", "net"] | None = None  # default: the ledger's

    @property
    def shorter(self) -> tuple[int, ...]:
        """The horizons that are told beside `horizon_days`, rising."""
        asked = (30, 60) if self.horizons is None else self.horizons
        return tuple(sorted({days for days in asked if days < self.horizon_days}))

    @model_validator(mode="after")
    def _inside_window(self) -> TargetConfig:
        beyond = [days for days in self.horizons or () if not 0 < days <= self.horizon_days]
        if beyond:
            raise ValueError(
                f"horizons: {beyond[0]} is not between 1 and horizon_days ({self.horizon_days}): a "
                "window is told from the one that the model predicts"
            )
        return self


class SplitConfig(_Frozen):
    """Where the out-of-time test begins. Defaults are chosen from the calendar, purged either way."""

    calibrate_from: PlainDate | None = None
    test_from: PlainDate | None = None
    test_until: PlainDate | None = None


class TrainingConfig(_Frozen):
    """How models are fitted. Reviewed hyper-parameters stand in models/<target>/params.toml.

    folds: origins of a backtest, where the data allow so many."""

    seed: int = 7
    families: tuple[str, ...] = ()  # default: all
    leave_out_treated: bool = True
    bootstrap_rounds: int = Field(300, ge=50)
    min_outcomes: int = Field(20, ge=2)
    folds: int = Field(4, ge=2, le=24)


class CapacityConfig(_Frozen):
    """How many accounts the CSMs can handle per period: a number, or a share of the book."""

    accounts: int | None = Field(None, ge=1)
    share: float = Field(0.1, gt=0, le=1)

    def of(self, book: int) -> int:
        """Accounts that can be handled out of a book of `book` accounts (at least 1)."""
        return min(book, self.accounts) if self.accounts else max(1, round(self.share * book))


class TierConfig(_Frozen):
    """Calibrated probabilities from which a tier begins; below `medium` is low."""

    critical: float = Field(0.5, gt=0, lt=1)
    high: float = Field(0.25, gt=0, lt=1)
    medium: float = Field(0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> TierConfig:
        if not self.medium < self.high < self.critical:
            raise ValueError("tiers must rise: medium < high < critical")
        return self

    def of(self, probability: float) -> str:
        """The tier that a probability falls into."""
        if probability >= self.critical:
            return "critical"
        if probability >= self.high:
            return "high"
        return "medium" if probability >= self.medium else "low"


class ValueConfig(_Frozen):
    """What accounts are worth and what work costs: the money in the expected profit and in plans.

    An account's value is its MRR times margin_share times lifetime_months, the months that a kept one
    pays on. contraction_share, expansion_share: of its MRR, what an account that contracts would drop,
    and what one that expands would add.
    The profit that compares models is a campaign's: contact_cost: money per contacted account, in the
    currency of the amounts. accept_share: of the contacted accounts that would have left, those that
    are won over. incentive_share: of an account's value, what those won over are given, and those who
    would have stayed anyway. A plan weighs plays, each with an effect and hours of its own, and gives
    nothing away: hourly_cost: an hour of the team. max_lifetime_months: what a lifetime value counts
    at most, however small the probability of churn.
    """

    margin_share: float = Field(0.75, gt=0, le=1)
    lifetime_months: float = Field(12, gt=0)
    contact_cost: float = Field(50, ge=0)
    accept_share: float = Field(0.3, gt=0, le=1)
    incentive_share: float = Field(0.05, ge=0, lt=1)
    contraction_share: float = Field(0.25, gt=0, le=1)
    expansion_share: float = Field(0.25, gt=0)
    hourly_cost: float = Field(50, ge=0)
    max_lifetime_months: float = Field(60, ge=1)

    def months_at_stake(self, target: str) -> float:
        """How many months of an account's MRR, as margin, hang on the outcome."""
        shares = {"contraction": self.contraction_share, "expansion": self.expansion_share}
        return self.margin_share * self.lifetime_months * shares.get(target, 1.0)


class ActionsConfig(_Frozen):
    """How the clock opens and ends actions.

    recover_margin_share: how far below the threshold at which a play opens, as a share of it, a
    probability must fall to count as recovered. hold_out_share: of the accounts, how many get no action
    so that the effect of actions can be measured; who they are follows from their ids and `seed`.
    """

    recover_margin_share: float = Field(0.2, ge=0, lt=1)
    hold_out_share: float = Field(0, ge=0, le=0.5)
    seed: int = Field(7, ge=0)


VoiceRoute = Literal["product", "support", "sales"]
TOPICS = (
    "onboarding", "usability", "reporting", "integration", "performance", "reliability", "security",
    "training", "support", "pricing", "contract", "other",
)  # fmt: skip
ROUTES: dict[str, VoiceRoute] = {
    "onboarding": "support",
    "training": "support",
    "support": "support",
    "pricing": "sales",
    "contract": "sales",
}


class VoiceConfig(_Frozen):
    """What customers' obstacles and wishes are about, and who gets them where nobody says otherwise
    (`routes`: topic -> product, support or sales; product without)."""

    topics: tuple[str, ...] = TOPICS
    routes: dict[str, VoiceRoute] = Field(default_factory=lambda: dict(ROUTES))

    @field_validator("topics")
    @classmethod
    def _plain_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(topic.strip() for topic in topics)
        for topic in plain:
            if not topic.isprintable() or not 0 < len(topic) <= 40:
                raise ValueError("a topic is a word or a few, of 1 to 40 letters on one line")
        if not plain or len(set(plain)) < len(plain):
            raise ValueError("declare at least one topic, and each once")
        return plain

    @model_validator(mode="after")
    def _routes_of_topics(self) -> VoiceConfig:
        beyond = [topic for topic in self.routes if topic not in self.topics]
        if "routes" in self.model_fields_set and beyond:
            raise ValueError(f"routes: {beyond[0]!r} is not among the topics")
        return self

    def route_of(self, topic: str) -> VoiceRoute:
        """Who gets notes of a topic unless somebody says otherwise."""
        return self.routes.get(topic, "product")


class GateConfig(_Frozen):
    """What a challenger must show on the out-of-time test before it may become champion.

    min_outcomes: accounts with the outcome, and as many without, below which the verdict is "cannot
    tell". champion_margin: by how much of the champion's log loss, on the same rows, the challenger's may
    at worst be higher (the upper end of the interval of their difference). interval: how sure an
    interval is.
    """

    min_outcomes: int = Field(50, ge=2)
    max_calibration_error: float = Field(0.1, gt=0)
    champion_margin: float = Field(0.02, ge=0, le=1)
    interval: float = Field(0.95, gt=0.5, lt=1)


class WaiverConfig(_Frozen):
    """One finding of the leak audit that somebody looked at and lets stand, and why."""

    feature: str
    check: AuditCheck
    reason: str

    @field_validator("feature", "reason")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be empty")
        return text.strip()


class AuditConfig(_Frozen):
    """When the leak audit finds a feature too good to be true. `waive` lets findings stand by name.

    max_auc: of one feature alone. max_date_share: of the accounts with the outcome, how many a
    feature may tell the day. max_fill_gap: how far the filled share of accounts with the outcome may
    lie from that of the others. min_outcomes: accounts of each kind below which these three cannot
    tell. dates: how many dates features are built again at.
    """

    max_auc: float = Field(0.95, gt=0.5, lt=1)
    max_date_share: float = Field(0.8, gt=0, lt=1)
    max_fill_gap: float = Field(0.9, gt=0, lt=1)
    min_outcomes: int = Field(20, ge=2)
    dates: int = Field(3, ge=1)
    waive: tuple[WaiverConfig, ...] = ()

    @field_validator("waive")
    @classmethod
    def _each_once(cls, waivers: tuple[WaiverConfig, ...]) -> tuple[WaiverConfig, ...]:
        named = [(waiver.feature, waiver.check) for waiver in waivers]
        twice = [name for place, name in enumerate(named) if name in named[:place]]
        if twice:
            raise ValueError(f"{twice[0][1]} of {twice[0][0]} is waived twice: keep one")
        return waivers


class StoreConfig(_Frozen):
    """SQLAlchemy URL of the score store; the default is SQLite in the project folder."""

    url: str | None = None


class ServeConfig(_Frozen):
    """How the service listens. `stale_after_days` marks scores whose data are older.

    requests_per_minute: of one key; without keys, of one address. log_requests: a line for each request,
    with its route and status and never with what was asked for.
    """

    port: int = Field(3000, ge=1, le=65535)
    stale_after_days: int = Field(14, ge=1)
    requests_per_minute: int = Field(60_000, ge=1)
    log_requests: bool = True


class PrivacyConfig(_Frozen):
    """User ids are replaced by keyed pseudonyms on the way in unless told otherwise."""

    pseudonymise_users: bool = True


class Config(_Frozen):
    """The whole of `churnml.toml`."""

    version: Literal[1] = 1
    name: str = "company"
    currency: str = "USD"
    language: Literal["en", "zh", "ja"] = "en"
    source: SourceConfig = SourceConfig()
    tables: dict[str, TableConfig] = Field(default_factory=dict)
    events: EventsConfig = EventsConfig()
    ledger: LedgerConfig = LedgerConfig()
    calendar: CalendarConfig = CalendarConfig()
    cohort: CohortConfig = CohortConfig()
    targets: dict[TargetName, TargetConfig] = Field(
        default_factory=lambda: {target: TargetConfig() for target in TARGETS}
    )
    split: SplitConfig = SplitConfig()
    training: TrainingConfig = TrainingConfig()
    capacity: CapacityConfig = CapacityConfig()
    value: ValueConfig = ValueConfig()
    tiers: TierConfig = TierConfig()
    actions: ActionsConfig = ActionsConfig()
    gates: GateConfig = GateConfig()
    audit: AuditConfig = AuditConfig()
    voice: VoiceConfig = VoiceConfig()
    store: StoreConfig = StoreConfig()
    serve: ServeConfig = ServeConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    spark: dict[str, str] = Field(default_factory=dict)  # settings of Spark, for `--on spark`

    @model_validator(mode="after")
    def _files_in_folders(self) -> Config:
        named = [name for name, table in self.tables.items() if table.file is not None]
        if named and self.source.kind != "folder":
            raise ValueError(
                f"tables.{named[0]}.file: source.kind is {self.source.kind!r}, which has no files. "
                "Give `sql`"
            )
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        # The name becomes part of registry and file names.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
            raise ValueError("use letters, digits, - and _ only (63 at most)")
        return name

    @field_validator("targets")
    @classmethod
    def _some_target(cls, targets: dict[str, TargetConfig]) -> dict[str, TargetConfig]:
        if not targets:
            raise ValueError(f"declare at least one of {', '.join(TARGETS)}")
        return targets


def parse_config(text: str, where: str = "churnml.toml") -> Config:
    """Read the text of a `churnml.toml`.

    Raises: ConfigError naming every key that is wrong, what was found and what is expected.
    """
    return declared_in(Config, text, where, "says something that cannot be")


def declared_in(
    model: type[_Declared],
    text: str,
    where: str,
    complaint: str,
    say: Callable[[Any], str] | None = None,
) -> _Declared:
    """What the text of a TOML file declares, as `model`.

    where: the file's name. complaint: what it is called if it cannot be. say: a fault of pydantic's in
    words; default: `fault_in_words`.
    Raises: ConfigError naming every key that is wrong, what was found and what is expected.
    """
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{where}: not valid TOML: {error}. Expected key = value lines under [sections]. "
            "Correct that line."
        ) from None
    except ValidationError as error:
        lines = "\n".join(f"  - {(say or fault_in_words)(item)}" for item in error.errors())
        raise ConfigError(f"{where} {complaint}:\n{lines}") from None


def fault_in_words(item: Any) -> str:
    """One fault that pydantic found, for people: the key, what is wrong, what was found."""
    key = ".".join(str(part) for part in item["loc"]) or "(top level)"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key. Remove it, or look for a typing error."
    message = item["msg"].removeprefix("Value error, ")
    found = "" if isinstance(item.get("input"), dict) else f" Found {item.get('input')!r}."
    return f"{key}: {message}.{found}"


def target_of(config: Config, name: str) -> TargetConfig:
    """The declaration of one target.

    Raises: ConfigError naming the targets that exist.
    """
    for target, declared in config.targets.items():
        if target == name:
            return declared
    raise ConfigError(
        f"target {name!r} is not declared in churnml.toml. Expected one of "
        f"{', '.join(config.targets)}. Choose one, or add [targets.{name}] if it is one of "
        f"{', '.join(TARGETS)}."
    )
