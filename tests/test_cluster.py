"""Searches on a Dask cluster: a real scheduler and real workers, and what can become of them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conftest import ROOT, without_seconds
from hpsearch.cli import cli
from hpsearch.config import load_config
from hpsearch.errors import MachineError, UserError
from hpsearch.loop import Outcome, search
from hpsearch.store import RunFolder
from hpsearch.trial import Result

pytest.importorskip("distributed")

CODE = """
import os, signal, time


def score(x, trial_dir, seed):
    print("at", x)
    time.sleep(0.05)
    deadline = time.monotonic() + 60
    while (trial_dir.parent.parent.parent.parent / "hold").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return (x - 0.3) ** 2 + seed * 1e-12


def curve(x, seed):
    time.sleep(0.05)
    for epoch in range(9):
        yield (x - 0.3) ** 2 + 1 / (epoch + 1) + seed * 1e-12


def deadly(x):
    if x == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return x
"""

CONFIG = """
objective: {{python: "user.py:{function}"{more}}}
metric: {{name: score, goal: minimize}}
parameters: {{x: {{min: 0, max: 1}}}}
method: {method}
seed: 1
budget: {{trials: {trials}}}
run: {{engine: dask, address: "{address}", cluster_timeout: {timeout}}}
"""


def serve(tool: str, options: list[str], log: Path, environment: dict[str, str]) -> None:
    """Be a scheduler or a worker, in a process of its own."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(environment)
    if "HPSEARCH_VERSION" in environment:
        import hpsearch

        hpsearch.__version__ = environment["HPSEARCH_VERSION"]
    importlib.import_module(f"distributed.cli.{tool}").main(options)


TOOLS = ["distributed.cli.dask_scheduler", "distributed.cli.dask_worker"]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*TOOLS, "hpsearch.engines.remote", "numpy"])  # imported once


class Farm:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[Any] = []
        self.cache = folder / "cache"
        self.address = self.scheduler()

    def scheduler(self, port: int = 0) -> str:
        known = self.folder / f"scheduler-{len(self.processes)}.json"
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
        options += ["--scheduler-file", str(known), "--idle-timeout", "10 minutes"]
        self.head = self.start("dask_scheduler", options)
        wait_for(lambda: known.exists() and known.read_text().endswith("}"))
        return str(json.loads(known.read_text())["address"])

    @property
    def known(self) -> list[str]:
        options = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--memory-limit", "0"]
        return [self.address, *options, "--death-timeout", "60"]

    def worker(self, **environment: str) -> None:
        self.start("dask_worker", self.known, **environment)

    def worker_behind(self, *before: str) -> None:
        """Start a worker through another program."""
        program = "from distributed.cli.dask_worker import main; main()"
        with (self.folder / f"log-{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [*before, sys.executable, "-c", program, *self.known],
                stdout=log,
                stderr=log,
                env={**os.environ, "HPSEARCH_CACHE": str(self.cache)},
            )
        process.join = process.wait  # type: ignore[attr-defined]
        self.processes.append(process)

    def start(self, tool: str, options: list[str], **environment: str) -> Any:
        log = self.folder / f"log-{len(self.processes)}"
        environment["HPSEARCH_CACHE"] = str(self.cache)
        process = FORKS.Process(target=serve, args=(tool, options, log, environment), daemon=True)
        process.start()
        self.processes.append(process)
        return process

    def with_workers(self, count: int) -> dict[str, int]:
        """Wait for so many workers, starting those that are missing; their processes by name."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            for _ in range(count - len(client.run(os.getpid))):
                self.worker()
            client.wait_for_workers(count, 60)
            found: dict[str, int] = client.run(os.getpid)
        return found

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.kill()
            process.join()


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A cluster for tests that leave it with at least one worker and its scheduler."""
    farm = Farm(tmp_path_factory.mktemp("farm"))
    yield farm
    farm.close()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A cluster of the test's own, without a worker."""
    (tmp_path / "farm").mkdir()
    farm = Farm(tmp_path / "farm")
    yield farm
    farm.close()


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a config, and the code that it names."""
    return writer(tmp_path / "work")


def writer(folder: Path) -> Write:

    def write(
        address: str = "tcp://127.0.0.1:1",
        function: str = "score",
        method: str = "random",
        trials: int = 12,
        timeout: str = "60s",
        more: str = "",
        end: str = "",
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "user.py").write_text(CODE)
        text = CONFIG.format(
            address=address,
            function=function,
            method=method,
            trials=trials,
            timeout=timeout,
            more=more,
        )
        (folder / "search.yaml").write_text(text + end)
        return folder / "search.yaml"

    return write


def searched(
    path: Path,
    name: str,
    watch: Callable[[Result, Any], None] = lambda result, workers: None,
    **run: Any,
) -> tuple[RunFolder, Outcome, list[str]]:
    """Search in this process; `watch` is called with each result and who runs trials then."""
    config = load_config(path, name)
    config = replace(config, run=replace(config.run, **run))
    folder, said = RunFolder(path.parent / "runs" / name), []

    @contextlib.contextmanager
    def begin(before: list[Result], workers: Any) -> Iterator[Callable[[Result], None]]:
        yield lambda result: watch(result, workers)

    jobs = 1 if config.run.engine == "local" else -1
    return folder, search(config, folder, jobs=jobs, begin=begin, warn=said.append), said


def table(folder: RunFolder) -> str:
    return without_seconds(folder.path / "trials.csv")


def orders(folder: RunFolder) -> list[int]:
    """The order in which each line of the record was dealt out, as the file has them."""
    lines = (folder.path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    from hpsearch.lines import decode

    return [decode(line).order for line in lines]


METHODS = {
    "random": "random",
    "grid": "{name: grid, points: 12}",
    "sobol": "sobol",
    "zoom": "{name: zoom, rounds: 3}",
    "bayes": "{name: bayes, lag: 2}",
    "halving": "{name: halving}",
}


@pytest.mark.parametrize("method", METHODS)
def test_a_cluster_of_which_a_worker_is_killed_gives_the_table_of_one_job(
    lasting: Farm, write: Write, method: str
) -> None:
    steps = method == "halving"
    path = write(
        lasting.address,
        "curve" if steps else "score",
        METHODS[method],
        more=", epochs: 9" if steps else "",
    )
    expected, *_ = searched(path, "local", engine="local", address=None)
    pids, killed = lasting.with_workers(2), []

    def watch(result: Result, workers: Any) -> None:
        busy = [name for name, trials in workers().running.items() if trials]
        if not killed and busy and result.order >= 2:
            killed.append(busy[0])
            os.kill(pids[busy[0]], signal.SIGKILL)

    folder, outcome, _ = searched(path, "dask", watch)
    assert killed
    assert table(folder) == table(expected)
    assert sorted(orders(folder)) == list(range(len(orders(folder))))
    assert outcome.reason in ("trials", "space")


def test_a_frozen_worker_costs_no_trial_and_its_late_result_is_dropped(
    farm: Farm, write: Write, tmp_path: Path
) -> None:
    path = write(farm.address, trials=6, timeout="3s")
    expected, *_ = searched(path, "local", engine="local", address=None)
    pids, frozen, counts = farm.with_workers(2), [], []

    def watch(result: Result, workers: Any) -> None:
        counts.append(workers().alive)
        if not frozen:
            busy = next(name for name, trials in workers().running.items() if trials)
            frozen.append(pids[busy])
            os.kill(pids[busy], signal.SIGSTOP)
        elif len(counts) == 5:  # the last trial is running, or run already
            os.kill(frozen[0], signal.SIGCONT)

    folder, _, said = searched(path, "dask", watch)
    assert table(folder) == table(expected)
    assert sorted(orders(folder)) == list(range(6))
    assert 1 in counts
    assert any("was lost: trial" in text for text in said)


def test_a_trial_that_takes_its_workers_with_it_is_crashed_and_the_others_are_whole(
    farm: Farm, write: Write
) -> None:
    grid = "{name: grid, points: 100}"
    path = write(farm.address, "deadly", grid, 100, end="trial: {retries: 0}\n")
    for _ in range(5):
        farm.worker()
    folder, _, said = searched(path, "dask")
    *whole, deadly = folder.results()
    assert [(each.trial, each.status) for each in whole] == [(k, "complete") for k in range(99)]
    assert deadly.status == "crashed"
    assert deadly.message is not None
    assert deadly.message.startswith("3 workers were lost while they ran it, the last one tcp://")
    lost = [text for text in said if "was lost: trial" in text]
    assert any("99 run again elsewhere" in text for text in lost)  # it ran among others at first
    assert len([text for text in lost if "lost: trial 99 runs again elsewhere" in text]) == 2


@pytest.mark.parametrize("lost", ["workers", "scheduler"])
def test_a_cluster_that_is_gone_is_a_sentence_and_the_same_command_completes_the_run(
    farm: Farm, write: Write, lost: str
) -> None:
    path = write(farm.address, trials=6, timeout="2s")
    pids = farm.with_workers(2)

    def watch(result: Result, workers: Any) -> None:
        if not watched:
            for number in [farm.head.pid] if lost == "scheduler" else pids.values():
                os.kill(number, signal.SIGKILL)
        watched.append(result)

    watched: list[Result] = []
    with pytest.raises(MachineError) as caught:
        searched(path, "dask", watch)
    assert caught.value.exit_code == 3
    assert f"the Dask scheduler at {farm.address} had no worker that answers for 2 s" in str(
        caught.value
    )
    folder = RunFolder(path.parent / "runs" / "dask")
    announced = len(folder.results())
    assert 1 <= announced < 6
    if lost == "scheduler":
        farm.head.join()
        farm.address = farm.scheduler(int(farm.address.rpartition(":")[2]))
    farm.worker()
    searched(path, "dask", timeout_is_long(path))
    expected, *_ = searched(path, "local", engine="local", address=None)
    assert table(folder) == table(expected)
    assert len(orders(folder)) == 6


def timeout_is_long(path: Path) -> Callable[[Result, Any], None]:
    """Let a new worker take as long to start as it needs."""
    path.write_text(path.read_text().replace("cluster_timeout: 2s", "cluster_timeout: 60s"))
    return lambda result, workers: None


def test_a_run_goes_on_with_another_engine(lasting: Farm, write: Write) -> None:
    path = write(lasting.address, trials=3)
    lasting.with_workers(1)
    searched(path, "moved", engine="local", address=None)
    longer = write(lasting.address, trials=6)
    folder, outcome, _ = searched(longer, "moved")
    assert outcome.new == 3
    expected, *_ = searched(longer, "local", engine="local", address=None)
    assert table(folder) == table(expected)


@pytest.mark.parametrize(
    ("function", "method", "more", "end"),
    [
        ("score", "random", "", ""),
        ("score", "{name: grid, points: 3}", "", ""),
        ("curve", "halving", ", epochs: 9", ""),
        ("curve", "halving", ", epochs: 9", "epochs"),
    ],
)
def test_a_run_that_is_complete_shows_its_table_without_a_cluster(
    write: Write, function: str, method: str, more: str, end: str
) -> None:
    path = write("tcp://127.0.0.1:1", function, method, 3, more=more)
    if end:
        path.write_text(path.read_text().replace("{trials: 3}", "{epochs: 20}"))
    _, first, _ = searched(path, "complete", engine="local", address=None)
    before = (path.parent / "runs/complete/trials.csv").read_bytes()
    _, again, said = searched(path, "complete")
    assert (again.new, again.reason) == (0, first.reason)
    assert again.found.ended == first.found.ended
    assert (path.parent / "runs/complete/trials.csv").read_bytes() == before
    assert said == []


def test_what_a_trial_prints_and_leaves_is_in_the_runs_folder(lasting: Farm, write: Write) -> None:
    path = write(lasting.address, trials=1)
    (path.parent / "user.py").write_text(
        "def score(x, trial_dir):\n    print('x is', x)\n"
        "    (trial_dir / 'model').write_text(str(x))\n    return x\n"
    )
    lasting.with_workers(1)
    folder, *_ = searched(path, "files")
    (result,) = folder.results()
    x = result.params["x"]
    assert (folder.trial_folder(0) / "model").read_text() == str(x)
    assert (folder.trial_folder(0) / "log.txt").read_text() == f"x is {x}\n"


ELSEWHERE = """
import other

def score(x, trial_dir):
    (trial_dir / "model").write_text(str(x))
    return x * other.FACTOR * float(open("factor.txt").read())

def curve(x, trial_dir, start_epoch, budget):
    done = trial_dir / "done"
    assert start_epoch == (int(done.read_text()) if done.exists() else 0)
    for epoch in range(start_epoch, budget):
        done.write_text(str(epoch + 1))
        yield x / (epoch + 1) * other.FACTOR
"""


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A cluster whose two workers, on one machine, do not have the disk that the search is on."""
    folder = tmp_path_factory.mktemp("apart")
    work = folder / "work"
    work.mkdir()
    hidden = ("unshare", "--map-root-user", "--mount", "--kill-child", "sh", "-c")
    mount = f'mount -t tmpfs none "{work}" && cd "{folder}" && exec "$@"'
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*hidden, mount, "sh", "true"], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("this machine does not allow a worker to have another disk")
    farm = Farm(folder)
    for _ in range(2):
        farm.worker_behind(*hidden, mount, "sh")
    yield farm
    farm.close()


def test_code_and_files_reach_workers_without_the_disk_once(
    apart: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = writer(apart.folder / "work" / "code")(apart.address, trials=6)
    (path.parent / "user.py").write_text(ELSEWHERE)
    (path.parent / "other.py").write_text("FACTOR = 3\n")
    (path.parent / "factor.txt").write_text("7")
    path.write_text(path.read_text().replace("run: {", "run: {files: ['*.txt'], "))
    monkeypatch.chdir(path.parent)  # the file is found from where the command is started
    expected, *_ = searched(path, "local", engine="local", address=None)
    folder, *_ = searched(path, "dask")
    assert table(folder) == table(expected)
    assert {result.status for result in folder.results()} == {"complete"}
    for result in folder.results():
        left = folder.trial_folder(result.trial) / "model"
        assert left.read_text() == str(result.params["x"])
    kept = sorted((apart.cache / "hpsearch-workers" / "files").iterdir())
    sent = [*path.parent.glob("*.py"), *path.parent.glob("*.txt")]
    wanted = {hashlib.sha256(each.read_bytes()).hexdigest() for each in sent}
    assert {each.name for each in kept} >= wanted
    first = [each.stat().st_ino for each in kept]
    searched(path, "again")
    again = sorted((apart.cache / "hpsearch-workers" / "files").iterdir())
    assert [each.stat().st_ino for each in again] == first


def test_a_step_goes_on_where_another_worker_ended_without_a_common_disk(
    apart: Farm,
) -> None:
    write = writer(apart.folder / "work" / "steps")
    path = write(apart.address, "curve", "halving", 9, more=", epochs: 9")
    (path.parent / "user.py").write_text(ELSEWHERE)
    (path.parent / "other.py").write_text("FACTOR = 3\n")
    expected, *_ = searched(path, "local", engine="local", address=None)
    folder, *_ = searched(path, "dask")
    assert table(folder) == table(expected)
    assert {result.status for result in folder.results()} == {"complete"}
    assert any(result.start for result in folder.results())


def test_a_data_set_reaches_workers_without_the_disk(apart: Farm) -> None:
    path = apart.folder / "work" / "data" / "csv.yaml"
    path.parent.mkdir()
    shutil.copy(ROOT / "configs/wine.csv", path.parent)
    run = f'run: {{engine: dask, address: "{apart.address}"}}\n'
    path.write_text(
        (ROOT / "configs/csv.yaml").read_text().replace("trials: 12", "trials: 3") + run
    )
    expected, *_ = searched(path, "local", engine="local", address=None)
    folder, *_ = searched(path, "dask")
    assert table(folder) == table(expected)
    assert {result.status for result in folder.results()} == {"complete"}


def test_a_worker_with_another_version_is_refused_before_anything_is_written(
    farm: Farm, write: Write
) -> None:
    path = write(farm.address)
    farm.worker(HPSEARCH_VERSION="0.0.9")
    with pytest.raises(MachineError, match=r"it has hpsearch 0\.0\.9, and this command has") as e:
        searched(path, "dask")
    assert "\n" not in str(e.value)
    assert not (path.parent / "runs").exists()


def test_an_objective_that_no_worker_can_use_is_a_sentence_with_its_place(
    lasting: Farm, write: Write
) -> None:
    path = write(lasting.address, "scores")
    lasting.with_workers(1)
    with pytest.raises(UserError, match=r"search\.yaml:2:\d+: user\.py has no function 'scores'"):
        searched(path, "dask")
    assert not (path.parent / "runs").exists()


def refused(path: Path, *options: str) -> tuple[int, str]:
    """What the command says, in this process, and that it wrote nothing."""
    runs = path.parent / "runs"
    words = ["run", str(path), "--runs-dir", str(runs), *options]
    outcome = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert not runs.exists()
    assert outcome.stdout == ""
    return outcome.exit_code, outcome.stderr


def test_an_address_that_does_not_answer_is_a_sentence(write: Write) -> None:
    code, said = refused(write("tcp://127.0.0.1:1", timeout="1s"))
    assert code == 3
    assert "no Dask scheduler answers at tcp://127.0.0.1:1 within 1 s\n" in said


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_extra_is_a_sentence(
    write: Write, monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"hpsearch.engines.{engine}", raising=False)
    path = write()
    path.write_text(path.read_text().replace('address: "tcp://127.0.0.1:1", ', ""))
    code, said = refused(path, "--engine", engine)
    assert code == 2
    assert f"needs the package {package}" in said
    assert f"pip install 'hpsearch[{engine}]'" in said


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("{engine: dusk}", ["run.engine must be one of local, dask, ray", "mean 'dask'?"]),
        ('{address: "tcp://a:1"}', ["the engine local has no address", "engine: dask"]),
        ("{engine: dask, address: a:8786}", ["'a:8786' is no address", "mean 'tcp://a:8786'?"]),
        ('{engine: dask, address: "tcp://a"}', ["is no address", "such as tcp://10.0.0.1:8786"]),
        ("{engine: ray, address: autos}", ["'autos' is no address", "such as auto"]),
        ("{engine: dask, cluster_timeout: 60}", ["run.cluster_timeout", "Write 60s"]),
        ("{engine: dask, files: data.csv}", ["run.files", "Write [data.csv]"]),
    ],
)
def test_a_mistake_in_the_section_run_has_its_place(
    write: Write, run: str, words: list[str]
) -> None:
    path = write()
    lines = [line for line in path.read_text().splitlines() if not line.startswith("run:")]
    path.write_text("\n".join([*lines, f"run: {run}"]))
    code, said = refused(path)
    assert code == 2
    assert "search.yaml:8:" in said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "dusk"], "--engine must be one of local, dask, ray, found 'dusk'"),
        (["--engine", "local", "--address", "tcp://a:1"], "the engine local has no address"),
        (["--address", "a:8786"], "Did you mean 'tcp://a:8786'?"),
    ],
)
def test_a_mistake_in_the_options_of_the_engine_is_a_sentence(
    write: Write, options: list[str], words: str
) -> None:
    code, said = refused(write(), *options)
    assert code == 2
    assert words in said


def test_files_that_are_not_there_are_a_sentence(write: Write) -> None:
    path = write()
    path.write_text(path.read_text().replace("run: {", "run: {files: [dates.csv], "))
    code, said = refused(path)
    assert code == 2
    assert f"run.files: no file fits 'dates.csv' in {path.parent}" in said


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks through /proc")
def test_a_cluster_that_the_command_started_ends_with_it_also_by_a_signal(
    write: Write, tmp_path: Path
) -> None:
    path = write(trials=1000)
    path.write_text(path.read_text().replace('address: "tcp://127.0.0.1:1", ', ""))
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", path.name, "--engine", "dask", "-j", "2"],
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    record = path.parent / "runs" / "search" / "trials.jsonl"
    wait_for(lambda: record.exists() and record.read_bytes().count(b"\n") >= 3)
    started = family(process.pid)
    assert len(started) >= 4  # two workers, each with a child
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Stopped after" in stderr
    assert "Traceback" not in stderr
    wait_for(lambda: not any(Path(f"/proc/{number}").exists() for number in started), 20)


def family(process: int) -> list[int]:
    """All processes that a process started, and those that they did."""
    import psutil

    return [each.pid for each in psutil.Process(process).children(recursive=True)]


@pytest.fixture
def ray_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray cluster of one machine with two processors."""
    if importlib.util.find_spec("ray") is None:  # which reads the environment when it is imported
        pytest.skip("needs ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    place = Path(tempfile.mkdtemp(prefix="ray"))  # a socket's path has to be short
    monkeypatch.setenv("TEST_RAY", str(place))
    options = ["--head", "--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}"]
    options += ["--num-cpus=2", "--include-dashboard=false", f"--temp-dir={place}"]
    program = "from ray.scripts.scripts import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, "start", *options, "--disable-usage-stats"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    yield address
    end_all(place)
    shutil.rmtree(place, ignore_errors=True)


def end_all(place: Path) -> None:
    """End every process of the Ray cluster whose files are in a folder of ours."""
    import psutil

    for each in psutil.process_iter(["cmdline"]):
        if any(str(place) in word for word in each.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                for one in (*each.children(recursive=True), each):  # the workers are the raylet's
                    one.kill()


@pytest.mark.filterwarnings("default")
def test_a_ray_cluster_loses_a_worker_for_nothing_and_all_of_itself_for_a_sentence(
    ray_head: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(ray_head, "curve", "halving", 9, more=", epochs: 9")
    path.write_text(path.read_text().replace("engine: dask", "engine: ray"))
    expected, *_ = searched(path, "local", engine="local", address=None)
    killed: list[str] = []

    def kill_one(result: Result, workers: Any) -> None:
        busy = [name for name, trials in workers().running.items() if trials]
        if not killed and busy and result.order >= 2:
            killed.append(busy[0])
            os.kill(int(busy[0].rpartition(":")[2]), signal.SIGKILL)

    folder, _, said = searched(path, "one", kill_one)
    assert killed
    assert any(f"the worker {killed[0]} was lost" in text for text in said)
    assert table(folder) == table(expected)
    assert sorted(orders(folder)) == list(range(len(orders(folder))))

    def kill_all(result: Result, workers: Any) -> None:
        if result.order == 2:
            end_all(Path(os.environ["TEST_RAY"]))

    with pytest.raises(MachineError, match=r"the Ray cluster at .* had no worker that answers"):
        searched(path, "all", kill_all, cluster_timeout="30s")
    announced = len(RunFolder(path.parent / "runs" / "all").results())
    assert announced >= 3
    assert capsys.readouterr().out == ""
    again, *_ = searched(path, "all", engine="local", address=None)
    assert table(again) == table(expected)
