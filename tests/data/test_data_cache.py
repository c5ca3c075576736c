"""Large data: prepared once, in chunks, and mapped by every process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import load, source_of, splits
from hpsearch.data import PARTS, Split, cache, dataset, pipeline, prepare, source
from hpsearch.errors import DataError
from hpsearch.seeds import stream


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose data all count as large, with a cache beside them."""
    monkeypatch.setenv("HPSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LARGE", 0)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (90, 4, 3)).astype(np.uint8))
    np.save(tmp_path / "y.npy", np.arange(90) % 3)
    for name in ("x.npy", "y.npy"):
        os.utime(tmp_path / name, (time.time() - 100,) * 2)
    return tmp_path


def bits(splits: tuple[Split, ...]) -> list[Any]:
    return [
        (
            [(a.tobytes(), a.dtype, a.shape) for p in PARTS for a in getattr(each, p)],
            each.mean.tobytes(),
            each.std.tobytes(),
            (each.features, each.classes, each.image, each.target, each.notes),
        )
        for each in splits
    ]


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "cache" / "hpsearch-data").iterdir())


KEYS: list[dict[str, Any]] = [
    {},
    {"folds": 3},
    {"regression": True},
    {"fractions": (("train", 20), ("dev", 10), ("test", 0))},
]


@pytest.mark.parametrize("keys", KEYS)
def test_the_numbers_are_the_same_bit_for_bit_with_and_without_the_cache(
    large: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    written = splits("x.npy", "y.npy", large, **keys)
    (folder,) = folders(large)
    again = splits("x.npy", "y.npy", large, **keys)
    assert is_mapped(written[0].train.x)
    assert is_mapped(again[0].train.x)
    assert again[0].train.x.flags.c_contiguous
    assert folders(large) == [folder]
    monkeypatch.setattr(cache, "LARGE", 64 * 2**20)
    monkeypatch.setenv("HPSEARCH_CACHE", str(large / "none"))
    in_memory = splits("x.npy", "y.npy", large, **keys)
    assert not is_mapped(in_memory[0].train.x)
    assert bits(written) == bits(again) == bits(in_memory)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_chunks_change_nothing_but_rounding(
    large: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    (whole,) = splits("x.npy", "y.npy", large)
    monkeypatch.setattr(dataset, "CHUNK", chunk)
    monkeypatch.setenv("HPSEARCH_CACHE", str(large / "other"))
    (parts,) = splits("x.npy", "y.npy", large)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)
    assert parts.std == pytest.approx(whole.std, rel=1e-12)
    assert parts.dev.x == pytest.approx(whole.dev.x, abs=1e-6)
    assert np.array_equal(parts.dev.y, whole.dev.y)


def test_a_worker_that_finds_the_cache_reads_no_source(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits("x.npy", "y.npy", large)
    known = source_of("x.npy", "y.npy", large).fingerprinted()

    def fail(*_: Any) -> Any:
        raise AssertionError("parsed or hashed again")

    monkeypatch.setattr(pipeline, "read", fail)
    monkeypatch.setattr(source, "fingerprint", fail)
    prepare.cache_clear()
    assert len(prepare(known, stream)[0].train.y) == 45


def test_a_file_that_changed_is_noticed_in_spite_of_the_cache(large: Path) -> None:
    splits("x.npy", "y.npy", large)
    known = source_of("x.npy", "y.npy", large).fingerprinted()
    np.save(large / "y.npy", np.arange(90) % 2)
    prepare.cache_clear()
    with pytest.raises(DataError, match=r"y\.npy changed after the run began"):
        prepare(known, stream)
    assert len(splits("x.npy", "y.npy", large)[0].classes) == 2


@pytest.mark.parametrize("limit", [0, 64 * 2**20], ids=["cache", "memory"])
@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
@pytest.mark.parametrize("age", [100, 0], ids=["settled", "fresh"])
def test_a_file_that_changes_while_it_is_read_is_noticed(
    large: Path, monkeypatch: pytest.MonkeyPatch, limit: int, name: str, age: int
) -> None:
    monkeypatch.setattr(cache, "LARGE", limit)
    for each in ("x.npy", "y.npy"):
        os.utime(large / each, (time.time() - age,) * 2)
    before = np.load(large / name)
    known = source_of("x.npy", "y.npy", large).fingerprinted()
    plain = pipeline.read

    def read_late(given: Any) -> Any:
        np.save(large / name, before[::-1])
        return plain(given)

    monkeypatch.setattr(pipeline, "read", read_late)
    prepare.cache_clear()
    with pytest.raises(DataError, match=rf"^{name} changed while it was read$"):
        prepare(known, stream)
    assert limit or folders(large) == []
    np.save(large / name, before)
    monkeypatch.setattr(pipeline, "read", plain)
    assert len(prepare(known, stream)[0].train.y) == 45


def test_a_file_that_was_written_again_with_the_same_bytes_is_the_same(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = pipeline.read

    def read_late(given: Any) -> Any:
        np.save(large / "y.npy", np.load(large / "y.npy"))
        return plain(given)

    monkeypatch.setattr(pipeline, "read", read_late)
    assert len(splits("x.npy", "y.npy", large)[0].train.y) == 45


def test_a_copy_of_the_files_finds_the_same_cache(large: Path) -> None:
    splits("x.npy", "y.npy", large)
    (large / "copy").mkdir()
    for name in ("x.npy", "y.npy"):
        (large / "copy" / name).write_bytes((large / name).read_bytes())
    splits("copy/x.npy", "copy/y.npy", large)
    assert len(folders(large)) == 1


def test_a_cache_that_cannot_be_written_is_done_without_and_noted(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (large / "file").write_text("")
    monkeypatch.setenv("HPSEARCH_CACHE", str(large / "file" / "cache"))
    (found,) = splits("x.npy", "y.npy", large)
    assert not is_mapped(found.train.x)
    assert found.notes[-1].startswith(
        f"every process keeps the data in its own memory (0 MiB), since the cache {large}/file/"
        "cache/hpsearch-data cannot be written: "
    )
    assert "HPSEARCH_CACHE" in found.notes[-1]


def test_a_disk_that_is_full_leaves_no_half_of_a_cache(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = cache.Folder.keep

    def full(self: Any, name: str, *rest: Any) -> Any:
        if name == "0-dev-y":
            raise OSError(28, "No space left on device")
        return plain(self, name, *rest)

    monkeypatch.setattr(cache.Folder, "keep", full)
    (found,) = splits("x.npy", "y.npy", large)
    assert "cannot be written: No space left on device." in found.notes[-1]
    assert folders(large) == []


def test_a_mistake_in_the_data_leaves_no_half_of_a_cache(large: Path) -> None:
    x = np.ones((90, 2)) * np.arange(90)[:, None]
    np.save(large / "x.npy", x)
    rows = splits("x.npy", "y.npy", large)[0]
    kept = folders(large)
    worst = int(np.rint(rows.dev.x[0, 0] * rows.std[0] + rows.mean[0]))
    x[worst] = 1e300
    np.save(large / "x.npy", x)
    with pytest.raises(DataError, match=r"1e\+300"):
        splits("x.npy", "y.npy", large)
    assert folders(large) == kept


def test_a_damaged_cache_is_made_again(large: Path) -> None:
    whole = bits(splits("x.npy", "y.npy", large))
    (name,) = folders(large)
    (large / "cache" / "hpsearch-data" / name / "0-train-x.npy").write_bytes(b"cut")
    assert bits(splits("x.npy", "y.npy", large)) == whole
    assert is_mapped(cache.map_array(large / "cache" / "hpsearch-data" / name / "0-train-x.npy"))


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"stamps": {}}',
        '{"stamps": [], "splits": []}',
        '{"stamps": {"a": 7}, "splits": []}',
        '{"stamps": {}, "splits": 7}',
        '{"stamps": {}, "splits": [{}], "image": null, "features": [], "classes": []}',
        '{"stamps": {}, "splits": [{"target": null, "notes": []}], "image": null, "features": 7}',
        '{"stamps": {}, "splits": []}',
        "\udcff",
    ],
)
def test_a_cache_whose_description_is_damaged_is_made_again(large: Path, damage: str) -> None:
    whole = bits(splits("x.npy", "y.npy", large))
    (name,) = folders(large)
    about = large / "cache" / "hpsearch-data" / name / "about.json"
    about.write_text(damage, errors="surrogateescape")
    assert bits(splits("x.npy", "y.npy", large)) == whole
    assert folders(large) == [name]


def test_folders_unused_for_a_month_are_removed_when_a_new_one_is_made(large: Path) -> None:
    first = splits("x.npy", "y.npy", large)
    (old,) = folders(large)
    root = large / "cache" / "hpsearch-data"
    half, removed = root / f".{old}-ab_12xyz", root / f".removed-12-{old}-ab_12xyz"
    month = time.time() - cache.UNUSED - 10
    for path in (root / old, half, removed):
        path.mkdir(exist_ok=True)
        os.utime(path, (month, month))
    splits("x.npy", "y.npy", large, seed=1)
    (new,) = folders(large)
    assert new != old
    assert first[0].train.x.sum() == pytest.approx(0, abs=1e-2)  # still mapped


def test_no_folder_but_its_own_is_ever_removed(large: Path) -> None:
    month = time.time() - cache.UNUSED - 10
    others = [
        *(large / "cache" / name for name in ("holiday", ".hidden", "a" * 32)),
        *(large / "cache" / "hpsearch-data" / name for name in ("holiday", ".half", "a" * 31)),
    ]
    for path in others:
        path.mkdir(parents=True)
        (path / "photo.jpg").write_text("")
        os.utime(path, (month, month))
    splits("x.npy", "y.npy", large)
    assert all((path / "photo.jpg").exists() for path in others)


def test_a_folder_that_is_used_stays(large: Path) -> None:
    splits("x.npy", "y.npy", large)
    (old,) = folders(large)
    month = time.time() - cache.UNUSED - 10
    os.utime(large / "cache" / "hpsearch-data" / old, (month, month))
    splits("x.npy", "y.npy", large)
    splits("x.npy", "y.npy", large, seed=1)
    assert old in folders(large)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_a_killed_process_has_half_written_is_removed_next_time(large: Path, how: int) -> None:
    code = (
        "import sys, time\n"
        "from hpsearch.data import cache\n"
        f"folder = cache.Folder({'b' * 32!r})\n"
        "(folder.path / '0-train-x.npy').write_bytes(bytes(1000))\n"
        "print(folder.path.name, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        half = writer.stdout.readline().strip()
        splits("x.npy", "y.npy", large)
        assert half in folders(large)  # its writer lives
        writer.send_signal(how)
        writer.wait(timeout=60)
    assert half in folders(large)
    root = large / "cache" / "hpsearch-data"
    (root / f".removed-12-{'c' * 32}-ab_12xyz").mkdir()
    splits("x.npy", "y.npy", large, seed=1)
    assert [name for name in folders(large) if name.startswith(".")] == []
    assert len(folders(large)) == 2
    assert list(root.glob(f"*/{cache.LOCK}")) == []


def test_a_file_system_without_locks_is_written_all_the_same(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(cache.fcntl, "flock", refuse)
    half = large / "cache" / "hpsearch-data" / f".{'b' * 32}-ab_12xyz"
    half.mkdir(parents=True)
    assert is_mapped(splits("x.npy", "y.npy", large)[0].train.x)
    assert half.exists()  # perhaps it is being written
    assert len(folders(large)) == 2


def test_two_processes_at_once_leave_one_whole_cache(large: Path) -> None:
    code = (
        "from hpsearch.data import cache, prepare, DataSource\n"
        "from hpsearch.seeds import stream\n"
        "cache.LARGE = 0\n"
        f"s = DataSource('x.npy', {str(large)!r}, 'y.npy', (('train', .5), ('dev', .5)), 0)\n"
        "print(float(prepare(s.fingerprinted(), stream)[0].dev.x.sum()))\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [each.communicate(timeout=60)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0]
    assert len(set(answers)) == 1
    assert len(folders(large)) == 1


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPSEARCH_CACHE", str(tmp_path / "own"))
    assert cache.cache_root() == tmp_path / "own" / "hpsearch-data"
    monkeypatch.delenv("HPSEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "hpsearch-data"
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "xdg", "./xdg"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache.cache_root() == tmp_path / ".cache" / "hpsearch-data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_root() == tmp_path / ".cache" / "hpsearch-data"


def test_several_mapped_files_are_not_joined_in_memory(large: Path) -> None:
    found = load({"train": "x.npy", "dev": "x.npy"}, {"train": "y.npy", "dev": "y.npy"}, large)
    assert isinstance(found.x, dataset.Stacked)
    rows = np.array([0, 95, 3, 179])
    x = np.load(large / "x.npy").reshape(90, -1)
    assert np.array_equal(found.take(rows), x[[0, 5, 3, 89]])


def test_little_memory_is_needed_for_much_data(tmp_path: Path) -> None:
    rows, width = 40_000, 1_000  # 160 MB as float32, 40 MB in the file
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, width)}
        np.lib.format.write_array_header_1_0(file, header)
        rng = np.random.default_rng(0)
        for _ in range(rows // 1000):
            file.write(rng.integers(0, 256, (1000, width), dtype=np.uint8).tobytes())
    np.save(tmp_path / "y.npy", np.arange(rows) % 2)
    code = (
        "import resource\n"
        "from hpsearch.data import prepare, DataSource\n"
        "from hpsearch.seeds import stream\n"
        f"s = DataSource('x.npy', {str(tmp_path)!r}, 'y.npy', (('train', .5), ('dev', .5)), 0)\n"
        "s = s.fingerprinted()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "anonymous = lambda: int(next(l for l in open('/proc/self/status') if 'RssAnon' in l)"
        ".split()[1])\n"
        "from hpsearch.data import cache\n"
        "import threading, time\n"
        "most = [0]; done = []\n"
        "def watch():\n"
        "    while not done: most[0] = max(most[0], anonymous()); time.sleep(.005)\n"
        "t = threading.Thread(target=watch); start = anonymous(); t.start()\n"
        "prepare(s, stream); done.append(1); t.join()\n"
        "print((most[0] - start) // 1024)\n"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc to read the memory from")
    environment = {**os.environ, "HPSEARCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80  # MiB; the prepared data are 160
