"""Nothing half-written: on success all of it, on any failure nothing, and what stood before is kept."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing, refuse_inside, writing


def test_file_and_folder_appear_only_when_complete(tmp_path):
    with new_output(tmp_path / "deep" / "a.txt") as aside:
        aside.write_text("all of it")
        assert not (tmp_path / "deep" / "a.txt").exists()
        assert aside.parent.parent == tmp_path / "deep"  # the same disk, so that the rename is one step
    with new_output(tmp_path / "folder") as aside:
        aside.mkdir()
        (aside / "b.txt").write_text("b")
    assert (tmp_path / "deep" / "a.txt").read_text() == "all of it"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.txt", "b.txt", "deep", "folder"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(tmp_path, stop):
    with pytest.raises(stop), new_output(tmp_path / "a.txt") as aside:
        aside.write_text("half")
        raise stop
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_refused_before_work_and_replaced_only_when_complete(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(InputError, match=r"a.txt: already exists"):
        refuse_existing(tmp_path / "a.txt")
    with pytest.raises(InputError, match="already exists"), new_output(tmp_path / "a.txt"):
        pytest.fail("the body must not run")
    with pytest.raises(RuntimeError), new_output(tmp_path / "a.txt", replace=True) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    with new_output(tmp_path / "a.txt", replace=True) as aside:
        aside.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_only_empty_folders_are_replaced(tmp_path):
    out = tmp_path / "folder"
    out.mkdir()
    with new_output(out, replace=True) as aside:
        aside.mkdir()
        (aside / "a.txt").write_text("a")
    with pytest.raises(InputError, match="is left as it is"), new_output(out, replace=True) as aside:
        aside.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a.txt"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_existing_output_survives_when_no_new_one_was_written(tmp_path, kind):
    old = tmp_path / "out"
    if kind == "folder":
        old.mkdir()
    else:
        old.write_text("old")
    with pytest.raises(FileNotFoundError), new_output(old, replace=True):
        pass
    assert list(tmp_path.iterdir()) == [old]


def test_threads_that_outlive_a_failure_leave_nothing(tmp_path):
    """Zarr writes chunks from threads, which make their folders anew after one of them has failed."""

    def late(folder):
        time.sleep(0.15)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chunk").write_text("late")

    with pytest.raises(RuntimeError), new_output(tmp_path / "a.zarr") as aside:
        thread = threading.Thread(target=late, args=(aside,))
        thread.start()
        raise RuntimeError
    thread.join()
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "a.txt"]
    if Path("/sys/kernel").exists():
        places.append(Path("/sys/kernel/airmass-test/a.txt"))
    for place in [*places, tmp_path / ("x" * 300)]:
        with pytest.raises(InputError, match=f"^{place}: cannot write: "), new_output(place):
            pytest.fail("the body must not run")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_folders_above_go_again_after_a_failure(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RuntimeError), new_output(tmp_path / "a" / "b" / "c" / "d.txt"):
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_what_appears_meanwhile_is_not_replaced(tmp_path):
    for make in (Path.touch, Path.mkdir):
        out = tmp_path / make.__name__
        with pytest.raises(InputError, match="was created by another process meanwhile"), new_output(out) as aside:
            make(aside)
            out.write_text("another's")
        assert out.read_text() == "another's"
        out.unlink()
        with pytest.raises(InputError, match="was created by another process meanwhile"), new_output(out) as aside:
            make(aside)
            out.mkdir()
        assert not any(out.iterdir())


def test_two_at_once_the_second_is_refused_before_its_work(tmp_path):
    out = tmp_path / "a.nc"
    with new_output(out) as aside:
        words = rf"a\.nc: another run is writing it \(process {os.getpid()} on "
        with pytest.raises(InputError, match=words), new_output(out):
            pytest.fail("the body must not run")
        aside.write_text("first")
    assert out.read_text() == "first"
    with new_output(out, replace=True) as one, new_output(out, replace=True) as other:
        one.write_text("one")
        other.write_text("other")
    assert out.read_text() == "one"
    assert list(tmp_path.iterdir()) == [out]


_KILLED = """
import os, signal, sys
from airmass.core.files import new_output
with new_output(sys.argv[1]) as aside:
    aside.mkdir()
    (aside / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path):
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", _KILLED, out])
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.rglob("*") if path.suffix == ".txt"] == ["half.txt"]
    other = tmp_path / ".out.partial-another-host"
    other.mkdir()
    with new_output(out) as aside:
        assert not aside.exists()
        aside.mkdir()
    assert sorted(tmp_path.iterdir()) == [other, out]


def test_without_locks_runs_keep_apart(tmp_path, monkeypatch):
    """As on a disk that knows none."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    out = tmp_path / "a.txt"
    with pytest.raises(InputError, match="was created by another process"), new_output(out) as one:
        one.write_text("one")
        with new_output(out) as other:
            other.write_text("other")
    assert out.read_text() == "other"
    assert list(tmp_path.glob("*")) == [out]


@pytest.mark.parametrize("way", ["same", "inside", "above", "through a link", "by a hard link"])
def test_outputs_and_inputs_are_apart(tmp_path, way):
    store = tmp_path / "deep" / "store.zarr"
    store.mkdir(parents=True)
    (store / "chunk").write_text("")
    (tmp_path / "link").symlink_to(store)
    (tmp_path / "a.nc").hardlink_to(store / "chunk")
    given, out, words = {
        "same": (store, store, "is or lies in"),
        "inside": (store, store / "deep" / "out.nc", "is or lies in"),
        "above": (store, tmp_path / "deep", "contains"),
        "through a link": (store, tmp_path / "link" / "out.nc", "is or lies in"),
        "by a hard link": (store / "chunk", tmp_path / "a.nc", "is or lies in"),
    }[way]
    with pytest.raises(InputError, match=f"^{out}: {words} the input {given};"):
        refuse_existing(out, None, "https://example.org/x.zarr", given)
    refuse_inside(store.with_name("store.zarr2"), store, tmp_path / "absent")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write: Permission denied"), new_output(tmp_path / "a.txt"):
        pytest.fail("the body must not run")


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), writing(tmp_path / "a"):
        (tmp_path / "none").read_text()


_FILL = """
import resource, signal, sys
from airmass.core.errors import InputError
from airmass.core.files import new_output
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    with new_output(sys.argv[1]) as aside:
        aside.write_bytes(bytes(2**20))
except InputError as error:
    print(error)
"""


def test_file_size_limit_leaves_nothing(tmp_path):
    out = tmp_path / "big"
    run = subprocess.run([sys.executable, "-c", _FILL, out], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{out}: cannot write: File too large"
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(tmp_path):
    """A real one: a file system of 64 KiB in a namespace of its own, where the machine allows that."""
    probe = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}"
    try:
        allowed = subprocess.run([*probe, mount], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("this machine mounts no file systems for tests")
    script = f"{mount} && {sys.executable} -c '{_FILL_DISK}' {tmp_path}/big && ls -A {tmp_path}"
    run = subprocess.run([*probe, script], capture_output=True, text=True)
    assert run.stdout.strip() == f"{tmp_path}/big: cannot write: No space left on device", run.stderr


_FILL_DISK = "\n".join(line for line in _FILL.splitlines() if "SIGXFSZ" not in line and "setrlimit" not in line)
