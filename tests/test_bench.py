"""The scripts of bench/ start from nothing."""

import importlib.util
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"


def test_what_peers_are_given_has_a_folder_where_there_is_no_cache_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "no" / "cache"))
    spec = importlib.util.spec_from_file_location("peers", BENCH / "peers.py")
    peers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    with peers.temporary_folder() as folder:
        assert Path(folder).parent == tmp_path / "no" / "cache"
    assert "TemporaryDirectory(dir=" not in (BENCH / "speed.py").read_text()
