"""What is in deploy/ agrees with the command line and with the service."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from matinee.cli.app import app
from matinee.service.app import create_app
from matinee.service.server import DRAIN_SECONDS
from matinee.service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMMANDS = typer.main.get_command(app).commands


def instructions():
    """(instruction, the rest) of the Containerfile, lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line]


def last(instruction):
    """The last of its kind, which is that of the image."""
    return [rest for name, rest in instructions() if name == instruction][-1]


@pytest.fixture(scope="module")
def compose():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def parsed(words):
    """What the command line makes of the words after `matinee`; an error if it knows one not."""
    name, *arguments = words
    assert name in COMMANDS
    with COMMANDS[name].make_context(name, arguments) as context:
        return context.params


def settings_of(words, tmp_path, **others):
    """The settings with which the service would start."""
    given = {key: value for key, value in parsed(words).items() if value is not None}
    return ServiceSettings(**{**given, "run": tmp_path, "store": str(tmp_path / "f"), **others})


def test_the_image_serves_as_a_user_without_rights(tmp_path):
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last("USER"))
    assert json.loads(last("ENTRYPOINT")) == ["matinee"]
    assert last("STOPSIGNAL") == "SIGTERM"
    settings = settings_of(json.loads(last("CMD")), tmp_path, token="t" * 16)
    assert (settings.host, settings.port) == ("0.0.0.0", int(last("EXPOSE")))  # noqa: S104


def test_the_image_keeps_the_store_in_the_folder_of_its_user():
    owner = last("USER").split(":")[0]
    (folder,) = re.findall(rf"install -d -o {owner} -g {owner} -m 700 (\S+)", last("RUN"))
    stores = [p.envvar for p in COMMANDS["serve"].params if p.name == "store"]
    assert f"{stores[0]}={folder}/" in last("ENV")


def test_the_image_asks_for_the_processor_that_its_kernels_are_compiled_for():
    wanted = 'NUMBA_CPU_NAME=${PROCESSOR} NUMBA_CPU_FEATURES=""'
    assert [rest.startswith(wanted) for name, rest in instructions() if name == "ENV"] == [True] * 2


def test_the_health_of_a_container_is_a_route(tmp_path):
    (check,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", last("HEALTHCHECK"))
    application = create_app(ServiceSettings(run=tmp_path, store=str(tmp_path / "f")))
    application.state.service.store.close()
    assert check == (last("EXPOSE"), "/health/ready")
    assert str(application.url_path_for("ready")) == check[1]


def test_all_that_the_image_copies_is_sent_to_the_builder():
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]]
    copied = [word for word in copied if not word.startswith(("--", "/"))]
    assert len(copied) > 3
    assert sorted(f"!{word}" for word in copied) == sorted(it for it in sent if it[0] == "!")
    assert all((ROOT / word).exists() for word in copied)


def test_compose_gives_containers_no_rights_and_no_files(compose):
    assert set(compose["services"]) == {"matinee", "postgres"}
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert float(service["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS
        for name, value in service["environment"].items():
            if "PASSWORD" in name or "TOKEN" in name:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), name
    postgres = compose["services"]["postgres"]
    assert "ports" not in postgres
    assert all(compose["networks"][name]["internal"] for name in postgres["networks"])


def test_compose_serves_a_run_of_a_folder_that_is_mounted(compose, tmp_path):
    service = compose["services"]["matinee"]
    words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["command"]]
    settings = settings_of(words, tmp_path, token="t" * 16)
    assert settings.behind_proxy
    (published,) = service["ports"]
    assert published == f"127.0.0.1:{settings.port}:{settings.port}"
    (mounted,) = service["volumes"]
    folder = f"{last('WORKDIR')}/{Path(parsed(words)['run']).parent}"
    assert mounted == f"../runs:{folder}:ro"
    assert service["build"] == {"context": "..", "dockerfile": "deploy/Containerfile"}


def unit(path):
    """(name, value) of a unit's lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and line[0] != "#"]


def test_units_start_commands_that_there_are(tmp_path):
    started = {}
    for path in (DEPLOY / "systemd").glob("*.service"):
        for name, value in unit(path):
            if name == "ExecStart":
                program, *words = shlex.split(value)
                assert program == "/opt/matinee/bin/matinee"
                started[path.stem] = words
    assert sorted(started) == ["matinee-retrain", "matinee-serve"]
    assert settings_of(started["matinee-serve"], tmp_path).behind_proxy
    assert parsed(started["matinee-retrain"])["run"] == "runs/served"
    assert parsed(started["matinee-serve"])["run"] == "runs/served"


def test_a_unit_waits_longer_than_the_service_and_takes_its_end_for_success():
    serve = dict(unit(DEPLOY / "systemd" / "matinee-serve.service"))
    assert int(serve["TimeoutStopSec"]) > DRAIN_SECONDS
    assert serve["SuccessExitStatus"] == "143"  # of SIGTERM, as cli/app.py ends
