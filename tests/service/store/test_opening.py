"""Where a store may be, who may read it, and which databases are refused."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from matinee.errors import MatineeError, SettingError, StoreError
from matinee.service.store import Store
from matinee.service.store.engine import make_engine
from matinee.service.store.schema import VERSION_TABLE, metadata

unix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of Unix")


def names(folder):
    return {path.name for path in folder.iterdir()}


@unix
@pytest.mark.parametrize("umask", [0, 0o022])
def test_only_the_owner_reads_the_file_and_what_is_beside_it(tmp_path, ann, umask):
    before = os.umask(umask)
    try:
        store = Store.open(tmp_path / "new" / "feedback")
        store.put(ann, "1", rating=1, kind="rating")
    finally:
        os.umask(before)
    beside = names(tmp_path / "new")
    assert beside == {"feedback", "feedback-wal", "feedback-shm"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert modes == {0o600}
    store.close()
    assert names(tmp_path / "new") == {"feedback"}


def test_every_commit_is_on_the_disk_and_readers_do_not_wait(tmp_path):
    engine, _ = make_engine(tmp_path / "feedback")
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "secure_delete": 1,
    }
    engine.dispose()


@pytest.mark.parametrize("name", [":memory:", "file:a?mode=memory", "%41 é?#", "-x"])
def test_any_name_of_a_file_is_one(tmp_path, monkeypatch, ann, name):
    monkeypatch.chdir(tmp_path)
    store = Store.open(name)
    store.put(ann, "1", rating=1, kind="rating")
    store.close()
    assert names(tmp_path) == {name}
    with closing(Store.open(tmp_path / name)) as store:
        assert len(store.all_of(ann)) == 1


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "store must be a path or a URL"),
        ("a\0b", "store must be a path or a URL"),
        (b"feedback", "store must be a path or a URL"),
        ("mysql://root:secret@host/db", "store must be a path or a URL .* got one of 'mysql'"),
        ("sqlite:///feedback", "got one of 'sqlite'"),
        ("postgresql://ann:secret@host:port/db", "store must be a URL like postgresql://USER"),
    ],
)
def test_what_is_no_place_is_refused_in_a_line(where, said):
    with pytest.raises(SettingError, match=said) as caught:
        Store.open(where)
    assert "secret" not in str(caught.value)


@unix
def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for name, said in (
        ("pipe", "it is a named pipe, not a file; choose another place"),
        ("folder", "it is a folder, not a file; choose another place"),
        ("file/feedback", "cannot be read: Not a directory"),
    ):
        with pytest.raises(StoreError, match=said):
            Store.open(tmp_path / name)
    with pytest.raises(StoreError, match="it is a device"):
        Store.open("/dev/null")


@unix
def test_a_folder_that_others_own_is_refused():
    folder = Path(tempfile.mkdtemp())  # not below the folders of pytest, which are the user's own
    closing_store = Store.open(folder / "theirs")
    closing_store.close()
    folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        for name in ("feedback", "new/feedback"):
            with pytest.raises(MatineeError, match="no permission to write there"):
                Store.open(folder / name)
        if user == 0:
            with pytest.raises(StoreError, match="cannot be used: unable to open database file"):
                Store.open(folder / "theirs")
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
        (folder / "theirs").unlink()
        folder.rmdir()


@pytest.mark.parametrize("content", [b"user,item,rating\n1,2,3\n" * 100, b"\0" * 5000, b"SQLite"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ratings.csv"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"ratings\.csv: .* file is not a database\.$"):
        Store.open(path)
    assert path.read_bytes() == content
    assert names(tmp_path) == {"ratings.csv"}


def test_the_database_of_another_program_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "study")) as other:
        other.execute("CREATE TABLE trials (number INTEGER)")
        other.commit()
    with pytest.raises(StoreError, match="this is a database of another program; choose another"):
        Store.open(tmp_path / "study")
    with closing(sqlite3.connect(tmp_path / "study")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("trials",)]


def test_other_tables_of_a_server_are_left_alone(postgres, ann):
    url = postgres.new_place()
    schema = url.rpartition("%3D")[2]
    postgres.execute(f"CREATE TABLE {schema}.alembic_version (version_num TEXT)")
    postgres.execute(f"CREATE TABLE {schema}.feedback (text TEXT)")
    with closing(Store.open(url)) as store:
        store.put(ann, "1", rating=1, kind="rating")
    assert postgres.execute(f"TABLE {schema}.alembic_version") == []


def test_a_server_with_another_encoding_is_refused(postgres):
    postgres.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    )
    with pytest.raises(StoreError, match="must be in UTF8, this one is in LATIN1; make another"):
        Store.open(postgres.url(database="latin"))


def set_version(where, version):
    engine, _ = make_engine(where)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")  # noqa: S608
    engine.dispose()


def test_a_newer_store_is_refused(where):
    Store.open(where).close()
    set_version(where, "9999")
    with pytest.raises(StoreError, match="the store is of a newer version of matinee; install"):
        Store.open(where)
    set_version(where, "0001")
    Store.open(where).close()


def test_migrations_lead_to_the_tables_that_the_store_uses(where):
    Store.open(where).close()
    engine, _ = make_engine(where)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing(where, monkeypatch):
    from alembic.operations import Operations

    def fail(*_):
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_index", fail)
        with pytest.raises(RuntimeError, match="in the middle"):
            Store.open(where)
    Store.open(where).close()


def test_threads_open_a_store_at_once(where, ann):
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store.open(where), range(6)))
    for number, store in enumerate(stores):
        store.put(ann, str(number), rating=1, kind="rating")
    assert len(stores[0].all_of(ann)) == 6
    for store in stores:
        store.close()


def test_threads_open_different_stores_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(Store.open, [tmp_path / str(number) for number in range(16)]):
            store.close()


@pytest.mark.thorough
def test_processes_open_a_store_at_once(where, ann):
    code = (
        "import sys, time\n"
        "from matinee.service.store import Store, UserKey\n"
        "sys.stdin.read(3)\n"
        "store = Store.open(sys.argv[1])\n"
        "store.put(UserKey('shop', 'ann'), sys.argv[2], rating=1, kind='rating')\n"
        "store.close()\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, where]
    processes = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in range(6)
    ]
    for process in processes:
        process.stdin.write(b"now")
        process.stdin.flush()
    said = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert said == [(b"", 0)] * 6
    with closing(Store.open(where)) as store:
        assert len(store.all_of(ann)) == 6


@pytest.mark.slow
def test_a_missing_extra_is_one_line():
    code = (
        "import sys\n"
        "sys.modules['sqlalchemy'] = None\n"
        "from matinee.errors import ExtraError\n"
        "import matinee.service.store as store\n"
        "store.UserKey('shop', 'ann')\n"
        "try:\n    store.Store\nexcept ExtraError as problem:\n    print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.startswith("The service needs sqlalchemy, which is not installed: ")
    assert "'matinee[service]'" in done.stdout
    assert done.stdout.count("\n") == 1
