"""Support and satisfaction: tickets, replies, CSAT, NPS, article votes, referrals."""

from typing import Literal

from churnml.features.families.usage import EVENTS, LESS_IS_RISK, MORE_IS_RISK
from churnml.features.spec import Difference, Driver, Feature, Function, Level, Ratio, Sql


def _support(
    name: str,
    table: str,
    fn: Function,
    unit: str,
    driver: Driver,
    what: str,
    direction: dict[str, int],
    needs: tuple[str, ...] = (),
    tells: Literal["level", "news", "since"] = "level",
    lever: bool = True,
    monotone: bool = False,
) -> Feature:
    return Feature(
        name, table, fn, unit, driver, "support", what, direction, lever, needs=needs, tells=tells,
        monotone=monotone,
    )  # fmt: skip


FEATURES = (
    _support("tickets_90d", "tickets", Sql("tickets", 90), "tickets", "support",
            "tickets opened in the last 90 days", {}, lever=False),  # opened is opened
    _support("severe_tickets_90d", "tickets", Sql("severe_tickets", 90), "tickets", "support", "severe tickets opened in the last 90 days", MORE_IS_RISK, tells="news",
            needs=("severity",), lever=False),
    _support("open_tickets", "tickets", Sql("open_tickets"), "tickets", "support",
            "tickets open", MORE_IS_RISK, needs=("closed_at",)),
    _support("resolution_90d_days", "tickets", Sql("resolution_days", 90), "mean days", "support", "mean days to close, of tickets closed in the last 90 days", MORE_IS_RISK,
            needs=("closed_at",)),
    _support("csat_90d", "tickets", Sql("csat", 90), "points of 5", "satisfaction",
            "mean CSAT of tickets closed in the last 90 days", LESS_IS_RISK,
            needs=("csat", "closed_at")),
    _support("nps_last", "surveys", Sql("nps_last"), "points of 10", "satisfaction",
            "mean of each respondent's last NPS answer", LESS_IS_RISK),
    # An answer stands: no lever.
    _support("detractors_180d", "surveys", Sql("detractors", 180), "answers", "satisfaction",
             "NPS answers of 0 to 6 in the last 180 days", MORE_IS_RISK, tells="news",
             lever=False, monotone=True),
    _support("tickets_28d", "tickets", Sql("tickets", 28), "tickets", "support",
             "tickets opened in the last 28 days", {}, lever=False),
    _support("tickets_90d_per_1000_events", "tickets",
             Ratio(Sql("tickets", 90), Level(EVENTS, 90), 1000.0), "tickets per 1,000 events",
             "support", "tickets for each 1,000 events by people in the last 90 days",
             MORE_IS_RISK),
    _support("first_reply_90d_hours", "tickets", Sql("first_reply_hours", 90), "hours", "support",
             "mean hours to the first reply, of tickets first replied to in the last 90 days",
             MORE_IS_RISK, ("first_reply_at",)),
    _support("oldest_open_ticket_days", "tickets", Sql("oldest_open_ticket_days"), "days",
             "support", "days since the oldest open ticket was opened", MORE_IS_RISK,
             ("closed_at",)),
    _support("csat_change_90d", "tickets",
             Difference(Sql("csat", 90), Sql("csat_before", 90)), "points of 5", "satisfaction",
             "mean CSAT of tickets closed in the last 90 days, less that of the 90 before",
             LESS_IS_RISK, ("csat", "closed_at")),
    _support("nps_180d", "surveys", Sql("nps", 180), "points of share", "satisfaction",
             "NPS of the last 180 days: share of 9 and 10 less share of 0 to 6", LESS_IS_RISK),
    _support("nps_change", "surveys", Sql("nps_change"), "points of 10", "satisfaction",
             "mean change from each respondent's last NPS answer but one to the last",
             LESS_IS_RISK),
    _support("nps_silent_180d_share", "surveys", Sql("nps_silent", 180), "share of respondents",
             "satisfaction", "share of NPS respondents who have not answered for 180 days",
             MORE_IS_RISK),
    _support("days_since_nps", "surveys", Sql("days_since_nps"), "days", "satisfaction",
             "days since anybody answered an NPS survey", MORE_IS_RISK, tells="since"),
    _support("survey_csat_180d", "surveys", Sql("survey_csat", 180), "points of 5",
             "satisfaction", "mean CSAT of the surveys of the last 180 days", LESS_IS_RISK),
    _support("article_votes_180d", "surveys", Sql("article_votes", 180), "votes", "support",
             "votes on help articles in the last 180 days", {}),
    _support("article_votes_180d_share", "surveys", Sql("article_votes_share", 180),
             "share of votes", "satisfaction",
             "share of votes on help articles that found them helpful, in 180 days",
             LESS_IS_RISK),
    _support("referrals_365d", "referrals", Sql("referrals", 365), "referrals", "satisfaction",
             "referrals made in the last 365 days", LESS_IS_RISK, tells="news"),
    _support("referrals_converted", "referrals", Sql("referrals_converted"), "referrals",
             "satisfaction", "referrals that became customers", LESS_IS_RISK, ("converted_at",),
             tells="news", lever=False),  # whether another company buys is up to that company
    _support("days_since_referral", "referrals", Sql("days_since_referral"), "days",
             "satisfaction", "days since the last referral", {}, tells="since"),
)  # fmt: skip
