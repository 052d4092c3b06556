"""Which column of a table holds what: by the names that people give, else by common names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from matinee.errors import DataError, SettingError, cut, printable, shortened

NONE = "none"
"""Given in place of a column's name, it leaves an optional column out."""
COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "user_id": (
        "user", "userid", "viewer", "viewerid", "customer", "customerid", "member", "memberid",
        "reviewer", "reviewerid", "visitor", "visitorid", "reader", "readerid", "account",
        "accountid", "profile", "profileid", "session", "sessionid", "uid", "username", "u",
    ),
    "item_id": (
        "item", "itemid", "movie", "movieid", "film", "filmid", "product", "productid", "isbn",
        "parentasin", "asin", "book", "bookid", "business", "businessid", "anime", "animeid",
        "game", "gameid", "app", "appid", "track", "trackid", "song", "songid", "artist",
        "artistid", "album", "albumid", "show", "showid", "joke", "jokeid", "article", "articleid",
        "iid", "i",
    ),
    "rating": (
        "stars", "rating", "score", "ratings", "overall", "value", "bookrating", "userrating",
        "reviewscore", "grade", "r",
    ),
    "weight": ("weight", "count", "counts", "plays", "playcount", "listens", "quantity", "times",
               "n"),
    "event": ("event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviour",
              "behaviortype", "interaction", "interactiontype", "type"),
    "timestamp": (
        "timestamp", "time", "date", "datetime", "ratedat", "unixreviewtime", "createdat",
        "reviewdate", "eventtime", "watchedat", "ts", "t",
    ),
    "title": ("title", "movietitle", "itemtitle", "booktitle", "productname", "producttitle",
              "name", "moviename", "itemname"),
    "genres": ("genres", "genre", "categories", "tags"),
    "year": ("year", "releaseyear", "yearofpublication", "publicationyear"),
}  # fmt: skip
"""Names by which a column is recognized, in lower case, without spaces and punctuation."""
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ratings": (("user_id", "item_id"), tuple(COMMON_NAMES)),
    "items": (("item_id",), ("item_id", "title", "genres", "year")),
    "users": (("user_id",), ("user_id",)),
}
"""What a table must have, and what is looked for in it."""


@dataclass
class NamedColumns:
    """The names that a person gives for columns, once for all tables that are read together."""

    names: Mapping[str, str]
    used: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key, name in self.names.items():
            table, dot, ours = key.rpartition(".")
            if ours not in COMMON_NAMES or (dot and table not in ("items", "users")):
                valid = ", ".join(COMMON_NAMES)
                raise SettingError(
                    f"The keys of columns must be among {valid}, got {shortened(key)}; for one "
                    "table only: items.item_id, users.user_id."
                )
            if name == NONE and ours in ("user_id", "item_id"):
                raise SettingError(f"columns: {key} is needed, and cannot be {NONE}.")

    def by_position(self) -> bool:
        """Whether columns of the ratings are given as numbers, for a file without a header."""
        given = [name for key, name in self.names.items() if "." not in key and name != NONE]
        return bool(given) and all(re.fullmatch(r"[1-9][0-9]{0,5}", name) for name in given)

    def given_for(self, table: str) -> dict[str, str]:
        """Our names to those given, for one table."""
        own = {key: name for key, name in self.names.items() if "." not in key}
        prefix = f"{table}."
        return own | {
            key.removeprefix(prefix): name
            for key, name in self.names.items()
            if key.startswith(prefix)
        }

    def match(self, present: Sequence[str], table: str, file: str) -> dict[str, str]:
        """Our column names to those of a table; DataError if one that it needs is not there."""
        required, wanted = TABLES[table]
        given = {ours: name for ours, name in self.given_for(table).items() if ours in wanted}
        self.seen += [name for name in present if name not in self.seen]
        chosen = {}
        for ours, name in given.items():
            if name in present:
                chosen[ours] = name
            if name in present or name == NONE:
                self.used |= {name}
        left_out = {ours for ours, name in given.items() if name == NONE and name not in present}
        looked_for = [ours for ours in wanted if ours not in left_out]
        more = ("id",) if table != "ratings" else ()
        chosen = recognized(present, looked_for, chosen, more)
        for ours in [*required, "rating", "timestamp", "weight", "event"]:
            name = given.get(ours, NONE)
            elsewhere = ours in ("item_id", "user_id") and ours in chosen
            if name not in (NONE, *present) and not elsewhere:
                raise DataError(
                    f"{file}: there is no column {shortened(name)}. "
                    f"There are {join_names(present)}."
                )
        if missing := [ours for ours in required if ours not in chosen]:
            prefix = "" if table == "ratings" else f"{table}."
            raise DataError(
                f"{file}: no column looks like {' or '.join(missing)} among {join_names(present)}. "
                f"Name it: --columns {prefix}{missing[0]}=NAME, or "
                f"columns={{{prefix + missing[0]!r}: ...}}."
            )
        for ours, name in chosen.items():
            if list(present).count(name) > 1:
                raise DataError(
                    f"{file}, row 1: two columns have the same name, {shortened(name)}. "
                    f"Rename one; {ours} is to be read from it."
                )
        if "rating" in chosen:  # then nothing else weighs an interaction
            chosen = {ours: name for ours, name in chosen.items() if ours not in ("weight", "event")
                      or ours in given}  # fmt: skip
        return {ours: chosen[ours] for ours in wanted if ours in chosen}

    def check_all_used(self, file: str) -> None:
        """DataError for a given name that no table has."""
        for key, name in self.names.items():
            if name not in self.used and not self.by_position() and name != NONE:
                raise DataError(
                    f"{file}: there is no column {shortened(name)} for {key}. "
                    f"There are {join_names(self.seen)}."
                )


def recognized(
    present: Sequence[str],
    wanted: Iterable[str],
    chosen: Mapping[str, str] = MappingProxyType({}),
    more: tuple[str, ...] = (),
) -> dict[str, str]:
    """Our names to those of columns that have common ones, beside those chosen already."""
    found = dict(chosen)
    simplified = {_simplified(name): name for name in reversed(present)}
    for ours in wanted:
        for name in (*COMMON_NAMES[ours], *more) if ours not in found else ():
            column = simplified.get(name)
            if column is not None and column not in found.values():
                found[ours] = column
                break
    return found


def _simplified(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def join_names(names: Sequence[str]) -> str:
    """Column names for a message, the first dozen."""
    shown = ", ".join(cut(name, 40) for name in names[:12])
    return cut(printable(shown), 240) + (", ..." if len(names) > 12 else "")
