"""Another run in place of the served one."""

from matinee.service.app import create_app
from matinee.service.reloading import Reloader, stamp_of
from matinee.service.settings import ServiceSettings


def test_a_damaged_run_leaves_the_old_one(model, served, tmp_path):
    run = tmp_path / "run"
    model.save(run)
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")), served)
    reloader = Reloader(app.state.service)
    (run / "manifest.json").write_text("{}")
    reloader.look()
    assert app.state.service.served is served
    assert reloader.loaded == stamp_of(run)
    model.save(run)
    reloader.look()
    assert app.state.service.served is not served
    app.state.service.store.close()


def test_no_run_at_all(tmp_path):
    assert stamp_of(tmp_path / "nothing") is None
