"""Tables for notebooks."""

import re

from matinee._html import html_block, html_table


def alignments(table):
    """(alignment, text) of each cell."""
    return re.findall(r'<t[hd] style="text-align: (\w+);[^>]*>([^<]*)<', table)


def test_everything_is_escaped():
    hostile = "<script>alert('x')</script>\x1b[31m"
    page = html_block(hostile, html_table([hostile], [[hostile]], caption=hostile))
    assert "<script" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;?[31m") == 4


def test_columns_of_numbers_are_right_aligned():
    table = html_table(["title", "n"], [["1984", 7], ["300", None]])
    columns = [("left", "title"), ("right", "n")]
    assert alignments(table) == [
        *columns,
        ("left", "1984"),
        ("right", "7"),
        ("left", "300"),
        ("right", ""),
    ]
    formatted = html_table(["n"], [["1,000"]], numeric=["n"])
    assert alignments(formatted) == [("right", "n"), ("right", "1,000")]
    assert alignments(html_table(["rmse"], [[0.123456]])) == [
        ("right", "rmse"),
        ("right", "0.1235"),
    ]


def test_pairs_have_no_header():
    table = html_table(None, [["users", 3], ["name", "x"]])
    assert "<thead>" not in table
    assert alignments(table) == [("left", "users"), ("left", "3"), ("left", "name"), ("left", "x")]
