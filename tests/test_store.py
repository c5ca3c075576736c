from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import MachineError, UserError
from hpsearch.finding import find_run
from hpsearch.lines import FORMAT, decode, encode
from hpsearch.store import RunFolder
from hpsearch.trial import Result

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(
    st.integers(-(2**53), 2**53),
    numbers,
    st.text(),
    st.booleans(),
    st.lists(st.integers(), max_size=3).map(tuple),
)
results = st.builds(
    Result,
    trial=st.integers(0, 10**7),
    status=st.sampled_from(["complete", "failed"]),
    params=st.dictionaries(st.text(min_size=1), values, max_size=4),
    unit=st.lists(st.floats(0, 1), max_size=4).map(tuple),
    seed=st.integers(0, 2**32 - 1),
    budget=st.one_of(st.none(), st.integers(1, 100)),
    score=st.one_of(st.none(), numbers),
    metrics=st.dictionaries(st.text(), st.one_of(st.none(), numbers), max_size=3),
    curve=st.dictionaries(st.text(), st.lists(numbers, max_size=3), max_size=3),
    message=st.one_of(st.none(), st.text()),
    scores=st.lists(numbers, max_size=3),
    note=st.one_of(st.none(), st.dictionaries(st.text(), numbers, min_size=1, max_size=2)),
)


def example(number: int) -> Result:
    params = {"learning_rate": 0.1 * number, "name": "é\n|", "units": (64, 32)}
    return Result(number, "complete", params, (0.1, 0.2), 7, 30, 0.5, {"dev_error": 0.5})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    with run.claim():
        run.write("config.yaml", "x")
        for number in range(3):
            run.append(example(number))
    return run


@given(results)
def test_a_result_comes_back_from_its_line(result: Result) -> None:
    line = encode(result)
    assert line.count(b"\n") == 1
    assert decode(line) == result
    json.loads(line)


def test_every_flipped_bit_of_a_line_is_noticed() -> None:
    line = encode(example(1))
    for place in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            with pytest.raises((ValueError, UserError)):
                decode(bytes(flipped))


def test_a_record_cut_anywhere_reopens_with_exactly_its_whole_lines(folder: RunFolder) -> None:
    path = folder.path / "trials.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = sum(1 for i in range(3) if sum(map(len, lines[: i + 1])) <= size)
        assert folder.results() == [example(number) for number in range(kept)]


def test_a_torn_last_line_is_cut_off_before_the_next_is_written(folder: RunFolder) -> None:
    path = folder.path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with folder.claim() as record:
        assert [result.trial for result in record.results] == [0, 1]
        assert record.torn > 0
        folder.append(example(2))
    assert folder.results() == [example(number) for number in range(3)]


def test_a_tail_of_zeros_is_healed(folder: RunFolder) -> None:
    path = folder.path / "trials.jsonl"
    path.write_bytes(path.read_bytes() + bytes(4096))
    with folder.claim() as record:
        assert record.torn == 4096
    assert len(folder.results()) == 3


def test_a_damaged_middle_is_refused_with_its_line_and_nothing_changes(folder: RunFolder) -> None:
    path = folder.path / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], lines[1].replace(b"0.5", b"0.4"), lines[2]])
    path.write_bytes(damaged)
    with pytest.raises(MachineError, match=r"trials\.jsonl:2: .*damaged"), folder.claim():
        pass
    assert path.read_bytes() == damaged


def of_version(version: int, folder: RunFolder) -> None:
    """Turn the record into its first line alone, as another version wrote it."""
    path = folder.path / "trials.jsonl"
    body = path.read_bytes().splitlines()[0].split(b',"checksum"')[0]
    body = body.replace(b'"format":%d' % FORMAT, b'"format":%d' % version)
    path.write_bytes(b'%s,"checksum":"%08x"}\n' % (body, zlib.crc32(body)))


def test_a_record_of_a_newer_version_is_refused(folder: RunFolder) -> None:
    of_version(FORMAT + 1, folder)
    with pytest.raises(UserError, match=f"format {FORMAT + 1}"):
        folder.results()


def test_a_record_of_the_first_version_is_read(folder: RunFolder) -> None:
    of_version(1, folder)
    assert folder.results() == [example(0)]


def test_a_second_writer_is_told_who_holds_the_run(folder: RunFolder) -> None:
    session = {"started": "2026-01-01T00:00:00+00:00", "pid": 4711, "host": "box"}
    about = {"config": {"folder": "/x"}, "identity": {}, "sources": {}, "sessions": [session]}
    folder.write_provenance(about)
    with (
        folder.claim(),
        pytest.raises(UserError, match="process 4711 on box"),
        RunFolder(folder.path).claim(),
    ):
        pass


def test_a_killed_writer_holds_nothing(folder: RunFolder) -> None:
    code = (
        "import os, signal; from pathlib import Path; from hpsearch.store import RunFolder\n"
        f"with RunFolder(Path({str(folder.path)!r})).claim():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with folder.claim() as record:
        assert len(record.results) == 3


def test_a_full_disk_leaves_whole_lines_only(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with folder.claim():
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
        with pytest.raises(MachineError, match="No space left"):
            folder.append(example(3))
        monkeypatch.undo()
        folder.append(example(4))
    assert [result.trial for result in folder.results()] == [0, 1, 2, 4]


def test_a_link_is_no_run_folder(tmp_path: Path, folder: RunFolder) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder.path)
    assert not RunFolder(link).exists()
    with pytest.raises(UserError, match="--name"), RunFolder(link).claim():
        pass


def test_a_folder_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="--name"), RunFolder(tmp_path / "mine").claim():
        pass
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_the_newest_run_is_found_without_a_name(tmp_path: Path) -> None:
    for age, name in enumerate(("old", "new")):
        run = RunFolder(tmp_path / name)
        with run.claim():
            run.write("config.yaml", "x")
        os.utime(run.path / "trials.jsonl", (age, age))
    assert find_run(tmp_path, None).name == "new"
    assert find_run(tmp_path, "old").name == "old"
    assert find_run(tmp_path, str(tmp_path / "old")).name == "old"


def test_an_unknown_run_is_answered_with_the_nearest(tmp_path: Path, folder: RunFolder) -> None:
    with pytest.raises(UserError, match="Did you mean 'run'"):
        find_run(folder.path.parent, "runn")
    with pytest.raises(UserError, match="there is no folder"):
        find_run(tmp_path / "empty", None)


def test_an_older_record_of_a_trial_wins_over_a_later_one(folder: RunFolder) -> None:
    with folder.claim():
        folder.append(Result(1, "failed", {}, (), 0, None, None))
    assert folder.results()[1] == example(1)
