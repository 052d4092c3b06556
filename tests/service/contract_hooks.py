"""What Schemathesis cannot know from the document: files of the kinds that we import."""

import csv
import io
import zipfile

import schemathesis
from hypothesis import strategies as st

LETTERBOXD = ["Date", "Name", "Year", "Letterboxd URI", "Rating"]
HEADERS = (
    ["item_id", "rating"],
    ["item_id", "title", "rating", "kind", "updated_at"],
    LETTERBOXD,
    ["Const", "Your Rating", "Date Rated", "Title", "Title Type", "Year"],
)
CELLS = st.one_of(
    st.integers(0, 500).map(str),
    st.sampled_from(["", "4.5", "rating", "seen", "2024-01-02", "tt0133093", "Movie", "=1+1"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)


@st.composite
def files(draw, headers=HEADERS):
    """A CSV with a header that we know, whatever its rows hold."""
    header = draw(st.sampled_from(headers))
    rows = draw(st.lists(st.lists(CELLS, max_size=len(header) + 1), max_size=20))
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


@st.composite
def archives(draw):
    """A ZIP archive of Letterboxd."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in draw(st.sampled_from([["ratings.csv"], ["watched.csv", "ratings.csv"]])):
            archive.writestr(name, draw(files([LETTERBOXD])))
    return packed.getvalue()


schemathesis.openapi.media_type("text/csv", files())
schemathesis.openapi.media_type("application/zip", archives())
