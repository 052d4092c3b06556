"""The published MovieLens editions."""

from dataclasses import dataclass

from matinee.errors import SettingError

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
TERMS = "GroupLens, research use; cite Harper & Konstan 2015, doi 10.1145/2827872"


@dataclass(frozen=True)
class Edition:
    """One published archive.

    Parameters
    ----------
    name : str
        As in ``matinee data fetch NAME``.
    ratings, viewers, movies : int
        As its README states them (0: it grows and changes).
    stars : str
        The scale.
    year : str
        When it was published.
    """

    name: str
    ratings: int
    viewers: int
    movies: int
    stars: str
    year: str

    @property
    def url(self) -> str:
        """Where GroupLens publishes the archive; its MD5 is at the same address plus ``.md5``."""
        return f"{GROUPLENS}{self.name}.zip"


def refuse_misnamed(name: str, ratings: int) -> None:
    """Refuse other data under the name of an edition: results would be taken for the edition's."""
    published = EDITIONS[name].ratings if name in EDITIONS else 0
    if published not in (0, ratings):
        raise SettingError(
            f"{name} has {published:,} ratings and these are {ratings:,}; choose another name."
        )


EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("ml-latest-small", 100_836, 610, 9_742, "0.5-5", "2018"),
        Edition("ml-100k", 100_000, 943, 1_682, "1-5", "1998"),
        Edition("ml-1m", 1_000_209, 6_040, 3_883, "1-5", "2003"),
        Edition("ml-10m", 10_000_054, 69_878, 10_681, "0.5-5", "2009"),
        Edition("ml-20m", 20_000_263, 138_493, 27_278, "0.5-5", "2015"),
        Edition("ml-25m", 25_000_095, 162_541, 62_423, "0.5-5", "2019"),
        Edition("ml-32m", 32_000_204, 200_948, 87_585, "0.5-5", "2024"),
        Edition("ml-latest", 0, 0, 0, "0.5-5", "changes"),
    )
}
