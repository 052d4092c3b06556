"""Archives that are damaged or hostile are refused, and leave nothing behind."""

import io
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_editions import contents, write_csv, zip_folder

from matinee.data import archives, read
from matinee.data.archives import extract
from matinee.data.cache import add
from matinee.errors import ArchiveError, MatineeError

RATINGS = "userId,movieId,rating,timestamp\n1,1,4.5,100\n2,1,3.0,200\n"


def archive_of(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive with these members, in this order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        for name, content in members.items():
            # a ZipInfo with its name set afterwards keeps what writestr would clean
            member = zipfile.ZipInfo("x")
            member.filename = name
            member.compress_type = method
            opened.writestr(member, content)
    return out.getvalue()


def with_member(member: zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    """A good archive with one more, unusual, member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("tiny/ratings.csv", RATINGS)
        opened.writestr(member, content)
    return out.getvalue()


def special_file(kind: int) -> bytes:
    member = zipfile.ZipInfo("tiny/movies.csv")
    member.create_system = 3  # Unix
    member.external_attr = (kind | 0o777) << 16
    return with_member(member, b"/etc/hostname")


def flagged_as_encrypted() -> bytes:
    content = bytearray(archive_of({"tiny/ratings.csv": RATINGS}))
    content[6] |= 1  # in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # in the directory
    return bytes(content)


def two_of_the_same_name() -> bytes:
    content = archive_of({"tiny/ratings.csv": RATINGS, "tiny/rating2.csv": RATINGS})
    return content.replace(b"rating2", b"ratings")


def damaged_data() -> bytes:
    content = bytearray(archive_of({"ratings.csv": RATINGS}, zipfile.ZIP_STORED))
    content[content.index(b"4.5")] = ord("5")  # still good CSV, but not what was packed
    return bytes(content)


def lying_about_its_size(true_size: int, declared: int) -> bytes:
    """A bomb that says it unpacks to something small."""
    content = bytearray(archive_of({"ratings.csv": b"0" * true_size}))
    directory = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, 22, declared)
    struct.pack_into("<I", content, directory + 24, declared)
    return bytes(content)


WHOLE = archive_of({"tiny/ratings.csv": RATINGS * 50})
HOSTILE = {
    "no zip at all": b"userId,movieId,rating,timestamp\n1,1,4.5,100\n",
    "empty file": b"",
    "cut in the middle": WHOLE[: len(WHOLE) // 2],
    "last byte missing": WHOLE[:-1],
    "parent folder": archive_of({"tiny/ratings.csv": RATINGS, "../evil.txt": "x"}),
    "parent folder further in": archive_of({"tiny/ratings.csv": RATINGS, "tiny/../../e": "x"}),
    "absolute path": archive_of({"tiny/ratings.csv": RATINGS, "/tmp/matinee-evil.txt": "x"}),  # noqa: S108
    "backslash": archive_of({"tiny/ratings.csv": RATINGS, "..\\evil.txt": "x"}),
    "drive letter": archive_of({"tiny/ratings.csv": RATINGS, "C:evil.txt": "x"}),
    "control character": archive_of({"tiny/ratings.csv": RATINGS, "tiny/\x1b[31m.csv": "x"}),
    "name too long": archive_of({"tiny/ratings.csv": RATINGS, "x" * 300: "x"}),
    "file inside a file": archive_of({"tiny/ratings.csv": RATINGS, "tiny/ratings.csv/x": "x"}),
    "symbolic link": special_file(stat.S_IFLNK),
    "device": special_file(stat.S_IFCHR),
    "names that differ in case": archive_of({"ratings.csv": RATINGS, "RATINGS.csv": RATINGS}),
    "encrypted": flagged_as_encrypted(),
    "two of the same name": two_of_the_same_name(),
    "damaged data": damaged_data(),
    "unusual packing": archive_of({"ratings.csv": RATINGS}, zipfile.ZIP_BZIP2),
    "larger than declared": lying_about_its_size(1_000_000, 100),
}


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files, so that what is left there can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archive_is_refused_and_leaves_nothing(kind, tmp_path, cache, temporary):
    path = tmp_path / "bad.zip"
    path.write_bytes(HOSTILE[kind])
    before = contents(tmp_path)
    for use in (read, add):
        with pytest.raises(ArchiveError, match=r"^bad\.zip: ") as caught:
            use(path)
        assert len(str(caught.value).splitlines()) == 1
        assert "\x1b" not in str(caught.value)
    assert contents(temporary) == {}
    assert contents(cache) == {}
    after = contents(tmp_path)
    after.pop("cache", None)
    assert after == before
    assert not Path("/tmp/matinee-evil.txt").exists()  # noqa: S108


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archive_leaves_the_old_entry_whole(kind, tmp_path, cache):
    add(zip_folder(write_csv(tmp_path / "good"), tmp_path / "tiny.zip"))
    before = contents(cache)
    path = tmp_path / "bad.zip"
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(ArchiveError):
        add(path, "tiny")
    assert contents(cache) == before
    assert len(read("tiny")) == 7


def test_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    path.write_bytes(archive_of({"ratings.csv": b"0" * 30_000_000}))  # a thousandth when packed
    monkeypatch.setattr(archives, "MIN_ALLOWANCE", 3_000_000)
    target = tmp_path / "out"
    with pytest.raises(ArchiveError, match="more than a ratings archive could hold"):
        extract(path, target)
    format_setting = sum(file.stat().st_size for file in target.rglob("*"))
    assert format_setting <= max(3_000_000, 100 * path.stat().st_size)


def test_bomb_in_many_pieces_is_counted_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    path.write_bytes(archive_of({f"{number}.csv": b"0" * 1_000_000 for number in range(10)}))
    monkeypatch.setattr(archives, "MIN_ALLOWANCE", 3_500_000)
    with pytest.raises(ArchiveError, match="more than a ratings archive could hold"):
        extract(path, tmp_path / "out")


def test_honest_archive_may_be_larger_than_the_free_allowance(tmp_path, monkeypatch):
    path = tmp_path / "good.zip"
    path.write_bytes(WHOLE)
    monkeypatch.setattr(archives, "MIN_ALLOWANCE", 10)
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/tiny/ratings.csv").read_text() == RATINGS * 50


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "many.zip"
    path.write_bytes(archive_of({f"{number}.csv": "" for number in range(5)}))
    monkeypatch.setattr(archives, "MAX_FILES", 4)
    with pytest.raises(ArchiveError, match="5 files"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_good_archive_unpacks_byte_by_byte(tmp_path):
    members = {
        "tiny/ratings.csv": RATINGS.encode(),
        "tiny/deep/er/blob.csv": bytes(range(256)) * 5000,
        "tiny/empty.csv": b"",
        "tiny/..dots..csv": b"1",
    }
    (tmp_path / "good.zip").write_bytes(archive_of(members))
    extract(tmp_path / "good.zip", tmp_path / "out")
    out = contents(tmp_path / "out")
    assert {name: data for name, data in out.items() if data is not None} == members


def test_archive_without_ratings_says_so(tmp_path):
    (tmp_path / "other.zip").write_bytes(archive_of({"notes/readme.md": "nothing"}))
    with pytest.raises(MatineeError, match=r"other\.zip: there is no file of ratings"):
        read(tmp_path / "other.zip")


@pytest.mark.slow
@given(damage=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4))
@example(damage=[(169, 0)])  # a file without a name
@settings(max_examples=150, deadline=None)
def test_whatever_the_damage_it_is_refused_in_words_or_does_not_matter(damage):
    content = bytearray(WHOLE)
    for at, value in damage:
        content[at] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tiny.zip")
        path.write_bytes(content)
        try:
            extract(path, Path(folder, "out"))
        except ArchiveError:
            return
        files = [file for file in Path(folder, "out").rglob("*") if file.is_file()]
        assert all(file.read_text() == RATINGS * 50 for file in files)


def test_an_archive_of_very_many_members_is_refused_before_they_are_listed(tmp_path, monkeypatch):
    members = {f"{number}": b"" for number in range(archives.MAX_FILES + 1)}
    (tmp_path / "many.zip").write_bytes(archive_of(members))
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("its directory was read"))
    with pytest.raises(ArchiveError, match="it holds 10,001 files"):
        extract(tmp_path / "many.zip", tmp_path / "out")
