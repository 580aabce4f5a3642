"""Which accounts a model learned from, kept so that only who asks about one can tell.

Owns the record's text: a mark of the key, then one keyed mark per account, sorted. Stores no account id."""

from __future__ import annotations

from collections.abc import Iterable

from churnml.privacy import account_mark, key_mark

LEARNED_FROM_FILE = "learned_from.txt"
HEADER = "churnml learned_from 1 key "


def learned_from_text(accounts: Iterable[str], key: bytes) -> str:
    """The record of these accounts."""
    marks = sorted(account_mark(str(account), key) for account in accounts)
    return "\n".join([HEADER + key_mark(key), *marks]) + "\n"


def learned(text: str, account_id: str, key: bytes) -> bool | None:
    """Whether the account is in the record; None where that cannot be told: another key, a torn text."""
    head, *marks = text.splitlines() or [""]
    if head != HEADER + key_mark(key):
        return None
    return account_mark(account_id, key) in marks
