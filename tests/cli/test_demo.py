"""`matinee demo`: the first command of a new user."""

import shlex

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated

NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there: a machine without a network


@pytest.mark.slow
def test_without_a_network_it_says_that_the_data_are_synthetic(tmp_path):
    shell = Shell(tmp_path, tmp_path / "cache")
    text = shell.process("demo", https_proxy=NOWHERE)
    assert "SYNTHETIC" in text
    assert text.count("RMSE") == 2
    assert (tmp_path / "runs" / "demo" / "manifest.json").exists()
    *tries, served = [shlex.split(line) for line in text.splitlines() if line.startswith("  ")][-4:]
    assert [command[1] for command in tries] == ["recommend", "similar", "explain"]
    for command in tries:
        assert shell(*command[1:]).count("\n") > 5
    assert served[1:] == ["serve", "demo"]
    assert "holdout: top-10 ranking" in shell("evaluate", "demo")
    assert "Reproduced bit for bit." in shell("reproduce", "demo")  # its data are kept


@pytest.mark.slow
def test_it_reads_the_edition_from_the_cache(tmp_path):
    """An invented edition of the right name stands in for the real one."""
    edition = tmp_path / "cache" / "ml-latest-small"
    write_generated(edition, users=80, items=60, ratings=2500, seed=3)
    (tmp_path / "runs" / "demo").mkdir(parents=True)  # of another program, and it stays
    text = Shell(tmp_path, tmp_path / "cache")("demo", columns=80)
    assert "saved in runs/demo-2." in text
    assert not list((tmp_path / "runs" / "demo").iterdir())
    assert "SYNTHETIC" not in text
    assert str(edition) in text
    assert "80 users gave 2,500 ratings to " in text
    for words in ("Rating prediction on 250 test ratings", "baseline: user and item biases",
                  "popularity, the same for all"):  # fmt: skip
        assert words in text
