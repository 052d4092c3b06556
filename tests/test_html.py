"""Tables for notebooks."""

from matinee._html import html_block, html_table


def test_everything_is_escaped():
    hostile = "<script>alert('x')</script>\x1b[31m"
    page = html_block(hostile, html_table([hostile], [[hostile]], caption=hostile))
    assert "<script" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;?[31m") == 4


def test_numbers_are_right_aligned():
    table = html_table(["title", "n"], [["1984", 7], ["300", None]])
    assert 'left">1984</td>' in table
    assert 'right">7</td>' in table
    assert 'left">300</td>' in table
    assert 'right">1,000</td>' in html_table(["n"], [["1,000"]], numeric=["n"])
    assert ">0.1235</td>" in html_table(["rmse"], [[0.123456]])


def test_pairs_have_no_header():
    table = html_table(None, [["users", 3], ["name", "x"]])
    assert "<thead>" not in table
    assert 'left">users</th>' in table
    assert 'right">3</td>' in table
