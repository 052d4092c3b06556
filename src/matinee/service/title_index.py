"""Items by their titles as other sites write them."""

import re
from collections import defaultdict
from collections.abc import Iterator

from matinee.data.catalog import Catalog, normalized_title

YEARS_OFF = 1  # by which releases differ between countries


class TitleIndex:
    """Titles without capitals, articles in front, and the years beside them."""

    def __init__(self, catalog: Catalog) -> None:
        self.by_name: dict[str, list[tuple[int, int | None]]] = defaultdict(list)
        years = catalog.frame["year"].to_list()
        for code, title in enumerate(catalog.titles):
            for name in _names(title):
                self.by_name[name].append((code, years[code]))

    def find(self, title: str, year: int | None) -> int | None:
        """The code of the item with this title, of this year or one beside it; None unless it is
        one alone.
        """
        for name in _names(title):
            found = self.by_name.get(name, [])
            for off in range(YEARS_OFF + 1):
                near = {code for code, other in found if _apart(other, year) == off}
                if near:
                    return near.pop() if len(near) == 1 else None
        return None


def _apart(year: int | None, other: int | None) -> int:
    """Years between two; none where one is not known."""
    return 0 if year is None or other is None else abs(year - other)


def _names(title: str) -> Iterator[str]:
    """A title as it may be written: whole, without what stands in parentheses, and that alone."""
    title = title.replace("&", " and ")
    yield normalized_title(title)[0]
    without_year = re.sub(r"\s*\(\d{4}\)\s*$", "", title)
    bare = re.sub(r"\([^()]*\)", "", without_year).strip()
    parts = re.findall(r"\(([^()]*)\)", without_year)
    inner = [re.sub(r"^a\.?k\.?a\.?\s+", "", part) for part in parts]
    for name in (bare, *inner):
        if name and name != without_year:
            yield normalized_title(name)[0]
