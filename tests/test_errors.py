"""A missing extra is one line that says how to install it into the environment one is in."""

import sys

import pytest

from matinee import errors
from matinee.errors import ExtraError, install_command, require_extra


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment of its own, of which each test says who made it."""
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.1\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(errors.shutil, "which", lambda name: None)
    return tmp_path


def test_a_package_that_is_there_is_no_error():
    require_extra("charts", "json", "csv")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(errors, "install_command", lambda requirement: f"install {requirement}")
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ExtraError) as raised:
        require_extra("charts", "json", "altair")
    assert str(raised.value) == (
        "Charts, clusters and pages need altair, which is not installed: install matinee[charts]"
    )


def test_a_broken_package_is_told_from_a_missing_one_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "broken_torch.py").write_text("raise ImportError('libtorch.so:\\nno such file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExtraError, match="fails to import") as raised:
        require_extra("torch", "broken_torch")
    assert "libtorch.so:?no such file" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_pip_of_this_python(environment):
    python = environment / "bin" / "python"
    assert install_command("matinee[torch]") == f"{python} -m pip install 'matinee[torch]'"


def test_python_is_called_by_the_name_that_leads_to_it(environment, monkeypatch):
    monkeypatch.setattr(errors.shutil, "which", {"python3": sys.executable}.get)
    assert install_command("umap-learn") == "python3 -m pip install umap-learn"
    monkeypatch.setattr(errors.shutil, "which", lambda name: sys.executable)
    assert install_command("umap-learn") == "python -m pip install umap-learn"


def test_conda_environments_are_served_by_their_pip(environment):
    (environment / "pyvenv.cfg").unlink()
    (environment / "conda-meta").mkdir()
    assert " -m pip install " in install_command("matinee[torch]")


def test_uv_where_uv_made_the_environment_or_there_is_no_pip(environment, monkeypatch):
    command = f"uv pip install --python {environment / 'bin' / 'python'} 'matinee[torch]'"
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    assert install_command("matinee[torch]") == command
    monkeypatch.undo()
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.1\n")
    assert install_command("matinee[torch]") == command


def test_pipx_where_pipx_made_it(tmp_path, monkeypatch):
    (tmp_path / "matinee").mkdir()
    (tmp_path / "matinee" / "pipx_metadata.json").write_text("{}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "matinee"))
    command = "pipx runpip matinee install 'matinee[charts]'"
    assert install_command("matinee[charts]") == command


def test_a_path_with_a_blank_is_quoted(environment, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my tools/python")
    assert install_command("umap-learn") == "'/opt/my tools/python' -m pip install umap-learn"
