"""Whether there is a GPU is said in words that help, and when it fails, nothing kept is lost.

No GPU is needed but for the last test: what CuPy says of one is made up.
"""

from __future__ import annotations

import json
import logging
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from needs_device import needs_device

import neurosim as ns
from neurosim import checkpoint, cli
from neurosim.engines import ENGINES, find, resolve
from neurosim.engines.cpu import CpuEngine
from neurosim.engines.cuda import device
from neurosim.experiments import Experiment, doctor, load
from neurosim.experiments import environment as environments
from neurosim.experiments.folder import Folder
from neurosim.experiments.report.kept import Kept
from neurosim_tasks import MackeyGlass

TINY = Path(__file__).parents[1] / "experiments" / "tiny.toml"
NAME = "NVIDIA H100 80GB HBM3"
GB = 10**9


class RuntimeFailure(RuntimeError):
    """Stands for CuPy's CUDARuntimeError."""


class DriverFailure(RuntimeError):
    """Stands for CuPy's CUDADriverError."""


class NoMemory(MemoryError):
    """Stands for CuPy's OutOfMemoryError."""


def raising(error):
    def call(*_):
        raise error

    return call


@pytest.fixture
def gpu(monkeypatch):
    """A function that makes up a machine with a GPU; what is named is otherwise there."""

    def make(toolkit=13000, capability=(9, 0), compiles=True, **runtime):
        given = {
            "driverGetVersion": lambda: 13000,
            "runtimeGetVersion": lambda: 13020,  # CuPy's own, linked into it
            "getDeviceCount": lambda: 1,
            "getDevice": lambda: 0,
            "getDeviceProperties": lambda _: {
                "name": NAME.encode(),
                "major": capability[0],
                "minor": capability[1],
                "multiProcessorCount": 132,
            },
            "memGetInfo": lambda: (78 * GB, 80 * GB),
            "CUDARuntimeError": RuntimeFailure,
        }
        found = (lambda: toolkit) if toolkit else raising(RuntimeError("no libcudart"))
        cupy = types.ModuleType("cupy")
        cupy.cuda = SimpleNamespace(
            runtime=SimpleNamespace(**{**given, **runtime}),
            driver=SimpleNamespace(CUDADriverError=DriverFailure),
            memory=SimpleNamespace(OutOfMemoryError=NoMemory),
            get_local_runtime_version=found,
        )
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setitem(sys.modules, "numba_cuda", types.ModuleType("numba_cuda"))
        monkeypatch.setattr(device, "_compiles", lambda: compiles)
        return cupy

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return make


@pytest.fixture
def none(monkeypatch):
    """A function that takes CuPy away."""
    return lambda: monkeypatch.setitem(sys.modules, "cupy", None)


# ------------------------------------------------------------------ is there one


def test_a_machine_with_everything(gpu):
    gpu()
    assert device.missing() is None
    device.require_device()
    assert device.name() == NAME
    assert device.describe() == {
        "name": NAME,
        "compute_capability": "9.0",
        "multiprocessors": 132,
        "memory_free": 78 * GB,
        "memory_total": 80 * GB,
        "driver": "13.0",
        "toolkit": "13.0",
    }
    assert device.words() == (
        f"{NAME}, compute capability 9.0, 132 multiprocessors, 78 of 80 GB free; driver for CUDA "
        "13.0, toolkit 13.0"
    )


INSTALL = 'pip install "neurosim-plasticity[cuda13]" (or [cuda12], where the driver is one for'


@pytest.mark.parametrize(
    ("module", "says"),
    [("cupy", "CuPy is not installed; "), ("numba_cuda", "numba-cuda is not installed; ")],
)
def test_what_is_not_installed_is_named_and_how_to_install_it(gpu, monkeypatch, module, says):
    gpu()
    monkeypatch.setitem(sys.modules, module, None)
    assert device.missing().startswith(says + INSTALL)


def test_what_is_installed_and_broken_says_so(gpu, monkeypatch, tmp_path):
    gpu()
    (tmp_path / "cupy.py").write_text("raise ImportError('libnvrtc.so.13: not found')")
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.syspath_prepend(tmp_path)
    why = device.missing()
    assert why.startswith("CuPy cannot be imported (libnvrtc.so.13: not found); " + INSTALL)


NONE_FOUND = RuntimeFailure("cudaErrorNoDevice: no CUDA-capable device is detected")
REFUSED = RuntimeFailure("cudaErrorInsufficientDriver: CUDA driver version is insufficient for it")


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({"driverGetVersion": lambda: 0}, "no NVIDIA driver was found .* https://www.nvidia.com"),
        (
            {"driverGetVersion": lambda: 12040},
            r"driver is too old: it knows CUDA up to 12.4, and the toolkit that is installed here "
            r'is 13.0; .*newer driver, or, .* "neurosim-plasticity\[cuda12\]"; or use',
        ),
        (
            {"toolkit": 13020},
            r"CUDA up to 13.0, and the toolkit .* is 13.2; .*, or an older toolkit: pip install "
            r'"cuda-toolkit==13.0.\*"; or use',
        ),
        (
            {"driverGetVersion": lambda: 11080, "toolkit": None},
            r"CUDA up to 11.8, and the toolkit .* is 13.0; install a newer driver; or use",
        ),
        ({"getDeviceCount": raising(REFUSED)}, "driver is too old"),
        ({"getDeviceCount": lambda: 0}, "the NVIDIA driver finds no GPU; nvidia-smi lists those"),
        ({"getDeviceCount": raising(NONE_FOUND)}, "the NVIDIA driver finds no GPU; "),
        ({"getDevice": raising(RuntimeFailure("cudaErrorX: y"))}, r"does not start \(cudaErrorX: "),
        ({"driverGetVersion": raising(OSError("z"))}, r"CUDA does not start \(z\); nvidia-smi"),
        ({"capability": (7, 0)}, rf"{NAME} has compute capability 7.0, and with CUDA 13.0 7.5 or"),
        (
            {"capability": (6, 1), "toolkit": 12040, "runtimeGetVersion": lambda: 12090},
            rf"{NAME} has compute capability 6.1, and with CUDA 12.4 7.0 or newer is needed",
        ),
        ({"compiles": False}, r"the CUDA compiler \(NVVM\) is not installed; pip install"),
    ],
)
def test_what_is_missing_is_said(gpu, machine, says):
    gpu(**machine)
    with pytest.raises(ns.DeviceError, match=says) as caught:
        device.require_device()
    assert str(caught.value).startswith("Simulator: engine = 'cuda' cannot work on this machine: ")
    assert str(caught.value).endswith("; or use engine = 'cpu'")
    assert not caught.value.lost


@pytest.mark.parametrize(
    "machine",
    [
        {"capability": (7, 0), "toolkit": 12040, "runtimeGetVersion": lambda: 12090},
        {"capability": (12, 0)},
        {"driverGetVersion": lambda: 13050, "toolkit": 13020},
        {"toolkit": None},  # nothing to compare with: what is missing shows later
    ],
)
def test_what_is_enough(gpu, machine):
    gpu(**machine)
    assert device.missing() is None


def test_a_hidden_gpu_is_called_hidden(gpu, monkeypatch):
    gpu(getDeviceCount=lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "(CUDA_VISIBLE_DEVICES = '' hides all others)" in device.missing()


@pytest.mark.parametrize(
    ("said", "names"), [(None, ["0", "1"]), ("2, 5", ["2", "5"]), ("GPU-1,GPU-2,-1", None)]
)
def test_the_gpus_that_a_process_may_use(gpu, monkeypatch, said, names):
    gpu(getDeviceCount=lambda: 2)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert device.visible() == (names or ["GPU-1", "GPU-2"])


def test_whether_numba_can_compile_is_known_or_not(monkeypatch):
    assert device._compiles() in (True, False)
    monkeypatch.setitem(sys.modules, "numba.cuda.cudadrv", None)
    assert not device._compiles()


# ------------------------------------------------------------------ what went wrong


WANTED = "Out of memory allocating 5,000,000,000 bytes (allocated so far: 1 bytes)."


@pytest.mark.parametrize(
    ("error", "says", "lost"),
    [
        (
            NoMemory(WANTED),
            "used up: 5 GB more were wanted, 78 of 80 GB are free; a smaller",
            False,
        ),
        (RuntimeFailure("cudaErrorMemoryAllocation: out of memory"), "used up: 78 of 80 GB", False),
        (DriverFailure("CUDA_ERROR_OUT_OF_MEMORY: out of memory"), "used up: 78 of 80 GB", False),
        (
            DriverFailure("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: unsupported toolchain"),
            "refuses what the CUDA toolkit makes (CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            False,
        ),
        (RuntimeFailure("cudaErrorLaunchFailure: unspecified launch failure"), "was lost (", True),
        (DriverFailure("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal access"), "was lost (CUDA_", True),
        (RuntimeFailure("cudaErrorDevicesUnavailable: busy"), "another process has it", True),
        (DriverFailure("CUDA_ERROR_INVALID_VALUE: invalid"), "refuses what was asked of", False),
    ],
)
def test_what_a_device_raises_is_said_in_words(gpu, error, says, lost):
    gpu()
    with pytest.raises(ns.DeviceError) as caught, device.translated():
        raise error
    said = str(caught.value)
    assert said.startswith("GPU: ")
    assert says in said
    assert "go on from the last checkpoint with --engine cpu" in said
    assert (caught.value.lost, caught.value.__cause__) == (lost, error)


def test_code_that_the_driver_is_too_old_for(gpu):
    gpu(driverGetVersion=lambda: 12080)
    says = r"too old: it knows CUDA up to 12\.8, .* is 13\.0"
    with pytest.raises(ns.DeviceError, match=says), device.translated():
        raise RuntimeFailure("cudaErrorUnsupportedPtxVersion: unsupported toolchain")


def test_a_device_that_does_not_tell_how_much_memory_it_has(gpu):
    gpu(memGetInfo=raising(RuntimeFailure("cudaErrorLaunchFailure")))
    assert "how much is free it does not tell" in str(device.translate(NoMemory("")))


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), RuntimeError("cudaErrorX")])
def test_what_no_device_causes_is_left_alone(gpu, none, error):
    gpu()
    for _ in range(2):
        with pytest.raises(type(error)) as caught, device.translated():
            raise error
        assert caught.value is error
        none()


def test_what_is_known_already_is_left_alone(gpu):
    gpu()
    known = ns.DivergenceError("blew up", 3, "R")
    with pytest.raises(ns.DivergenceError), device.translated():
        raise known
    with device.translated():
        pass


def test_the_errors_that_cupy_and_numba_raise_are_known():
    """Of the ones that are installed: on a machine without a GPU they all can be had."""
    cupy = pytest.importorskip("cupy")
    pytest.importorskip("numba_cuda")
    from numba.cuda.cudadrv import driver, error  # noqa: F401

    known = device._classes()
    assert {cupy.cuda.memory.OutOfMemoryError, cupy.cuda.runtime.CUDARuntimeError} < set(known)
    assert {cupy.cuda.driver.CUDADriverError, error.CudaSupportError} < set(known)
    if device.missing() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(ns.DeviceError, match="GPU: "), device.translated():
        cupy.zeros(3)


# ---------------------------------------------------------------- which engine it is


class OnGpu(CpuEngine):
    """Stands for the engine "cuda": the same numbers as the engine cpu, until the device fails."""

    name = "cuda"
    left = None  # calls until it fails
    error = None

    def advance(self, progress):
        with device.translated():
            if OnGpu.left is not None:
                OnGpu.left -= 1
                if OnGpu.left < 0:
                    raise OnGpu.error
            super().advance(progress)


@pytest.fixture
def engine(gpu, monkeypatch):
    """The engine above in the place of the real one, on a machine that is made up."""
    gpu()
    module = types.ModuleType("neurosim.engines.cuda.engine")
    module.CudaEngine = OnGpu
    monkeypatch.setitem(sys.modules, "neurosim.engines.cuda.engine", module)
    monkeypatch.setattr(OnGpu, "left", None)
    return OnGpu


def test_auto_is_cuda_where_it_can_be(engine):
    assert resolve("auto") == ("cuda", f"cuda: {NAME}")
    assert find("auto") is find("cuda") is OnGpu
    sim = ns.Simulator(ns.rnn(1, 2, 1), engine="auto")
    assert (sim.engine, sim.engine_reason) == ("cuda", f"cuda: {NAME}")


def test_auto_is_cpu_where_it_must_be(none, caplog):
    none()
    name, why = resolve("auto")
    assert name == "cpu"
    assert why.startswith("cpu: CuPy is not installed; " + INSTALL)
    with caplog.at_level(logging.INFO, "neurosim"):
        sim = ns.Simulator(ns.rnn(1, 2, 1), engine="auto")
    assert (sim.engine, sim.engine_reason) == ("cpu", why)
    assert [r.getMessage() for r in caplog.records] == [f"engine auto is {why}"]


def test_the_referee_runs_on_the_cpu_only(engine):
    assert resolve("auto", ns.BPTT(1e-3)) == ("cpu", "cpu: BPTT runs in NumPy, on no other engine")
    sim = ns.Simulator(ns.rnn(1, 2, 1), ns.BPTT(1e-3), engine="auto")
    assert (sim.engine, sim.engine_reason[:9]) == ("cpu", "cpu: BPTT")
    for name in ("cuda", "emulator"):
        with pytest.raises(ns.InputError, match=f"engine = '{name}' cannot run BPTT"):
            ns.Simulator(ns.rnn(1, 2, 1), ns.BPTT(1e-3), engine=name)


@pytest.mark.parametrize("name", ["cpu", "objects"])
def test_a_name_stands_for_itself(engine, name):
    sim = ns.Simulator(ns.rnn(1, 2, 1), engine=name)
    assert (sim.engine, sim.engine_reason) == (name, f"{name}: asked for by name")


def test_cuda_is_refused_where_there_is_none(none):
    none()
    with pytest.raises(
        ns.DeviceError, match=r"engine = 'cuda' cannot work .*CuPy is not installed"
    ):
        ns.Simulator(ns.rnn(1, 2, 1), engine="cuda")


@pytest.mark.parametrize("name", ["cuda", "emulator", "auto"])
def test_it_has_one_thread(engine, name, tmp_path):
    said = r"Simulator: threads = 2 must be 1 with engine = '(cuda|emulator)'"
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(ns.rnn(1, 2, 1), engine=name, threads=2)
    ns.Simulator(ns.rnn(1, 2, 1)).save(tmp_path / "saved.npz")
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator.load(tmp_path / "saved.npz", engine=name, threads=2)


def test_a_checkpoint_moves_between_engines(engine, none, tmp_path):
    inputs, targets = MackeyGlass(steps=30, batch=2, seed=1).train()
    sim = ns.Simulator(ns.rnn(1, 5, 1), ns.ANP(1e-3), batch=2, engine="cuda")
    sim.run(inputs, targets)
    sim.save(tmp_path / "saved.npz")
    assert checkpoint.read(tmp_path / "saved.npz")[1]["engine"] == "cuda"
    assert ns.Simulator.load(tmp_path / "saved.npz").engine == "cuda"
    none()
    with pytest.raises(ns.DeviceError, match="cannot work on this machine"):
        ns.Simulator.load(tmp_path / "saved.npz")
    for name in ("cpu", "auto", "objects"):
        moved = ns.Simulator.load(tmp_path / "saved.npz", engine=name)
        assert moved.engine == ("cpu" if name == "auto" else name)
        assert moved.step == sim.step
        np.testing.assert_array_equal(moved.weights["R"], sim.weights["R"])


# --------------------------------------------------------------------- from the command line


@pytest.fixture
def neurosim(monkeypatch, capsys, tmp_path):
    """A function that runs the command line here, in an empty folder: exit code and output."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.delenv("NEUROSIM_DEBUG", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["neurosim", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return done.value.code or 0, said.out, said.err

    return call


def kept(folder):
    """What a run kept and measured, but for where and when."""
    history = pd.read_parquet(folder / "history.parquet").drop(columns="seconds")
    with np.load(folder / "checkpoint.npz") as file:
        weights = {name: file[name].tolist() for name in file.files if name.startswith("weights/")}
    return json.loads((folder / "result.json").read_text())["table"], history, weights


def begun(folder):
    """The engines of all processes that worked on a run."""
    return [used["engine"] for used in json.loads((folder / "environment.json").read_text())]


FAILURES = {
    "out of memory": (NoMemory(WANTED), "memory is used up: 5 GB more were wanted"),
    "lost": (RuntimeFailure("cudaErrorLaunchFailure: unspecified"), "GPU: was lost"),
}


@pytest.mark.parametrize("out", [["--out", "run"], []], ids=["named", "usual"])
@pytest.mark.parametrize("why", FAILURES)
def test_a_device_that_fails_costs_an_epoch_at_most(neurosim, engine, none, monkeypatch, why, out):
    error, says = FAILURES[why]
    monkeypatch.setattr(OnGpu, "left", 5)  # calls: two an epoch
    monkeypatch.setattr(OnGpu, "error", error)
    code, _, err = neurosim("run", TINY, "--engine", "cuda", *out)
    folder = Path("run") if out else next(Path("runs").iterdir())
    assert code == 2
    assert err.startswith("neurosim: GPU: ")
    assert says in err
    assert f"last checkpoint: {folder / 'checkpoint.npz'}" in err
    assert "to go on, repeat the command with --resume --engine cpu" in err
    assert "Traceback" not in err
    assert not (folder / "result.json").exists()
    assert 0 < checkpoint.read(folder / "checkpoint.npz")[1]["extra"]["epoch"] < 3
    none()
    code, _, err = neurosim("run", TINY, "--resume", "--engine", "cuda", *out)
    assert (code, err.startswith("neurosim: Simulator: engine = 'cuda' cannot")) == (2, True)
    code, said, err = neurosim("run", TINY, "--resume", "--engine", "cpu", *out)
    assert (code, err) == (0, "")
    if not out:
        assert f"going on with {folder}, which began on engine cuda" in said
    assert neurosim("run", TINY, "--out", "straight")[0] == 0
    (table, history, weights), (other, whole, straight) = kept(folder), kept(Path("straight"))
    assert (table, weights) == (other, straight)
    pd.testing.assert_frame_equal(history, whole, rtol=0, atol=0)
    assert begun(folder) == ["cuda", "cpu"]
    assert json.loads((folder / "result.json").read_text())["engine"] == "cpu"
    assert 'engine = "cpu"' in (folder / "config.toml").read_text()


def test_a_run_that_moved_and_was_stopped_before_its_next_epoch_goes_on(engine, tmp_path):
    out, there, here = tmp_path / "run", load(TINY, ["training.engine=cuda"]), load(TINY)
    OnGpu.left, OnGpu.error = 5, RuntimeFailure("cudaErrorLaunchFailure")
    with pytest.raises(ns.DeviceError):
        Experiment(there, out).run(progress=False)
    Experiment(here, out).folder.begin(here)  # and no more: the checkpoint is of the other engine
    assert Experiment(here, out).run(resume=True, progress=False).history.epoch == 3


def test_another_run_is_no_run_that_moved(engine, tmp_path):
    Experiment(load(TINY, ["training.engine=cuda"]), tmp_path).run(progress=False)
    with pytest.raises(ns.InputError, match="another config"):
        Experiment(load(TINY, ["rule.noise_std=1e-2"]), tmp_path).run(resume=True)


def test_a_finished_run_on_another_engine_is_not_gone_on_with(neurosim, engine):
    assert neurosim("run", TINY, "--engine", "cuda")[0] == 0
    code, _, err = neurosim("run", TINY, "--resume")
    assert (code, "no run to resume" in err) == (2, True)


def test_a_run_says_which_engine_it_was_left_to_and_records_it(neurosim, engine, none):
    code, said, err = neurosim("run", TINY, "--engine", "auto", "--out", "there")
    assert (code, err) == (0, "")
    assert said.startswith(f"engine auto is cuda: {NAME}\n")
    result = json.loads(Path("there/result.json").read_text())
    assert result["engine"] == "cuda"
    assert 'engine = "cuda"' in Path("there/config.toml").read_text()
    (used,) = json.loads(Path("there/environment.json").read_text())
    assert (used["engine"], used["device"]["name"]) == ("cuda", NAME)
    assert "memory_free" not in used["device"]
    assert f"engine cuda on {NAME}" in Path("there/summary.md").read_text()
    none()
    code, said, err = neurosim("run", TINY, "--engine", "auto", "--out", "here")
    assert (code, err) == (0, "")
    assert said.startswith("engine auto is cpu: CuPy is not installed; " + INSTALL)
    assert json.loads(Path("here/result.json").read_text())["engine"] == "cpu"


def test_a_run_without_a_device_leaves_nothing_behind(neurosim, none):
    none()
    code, said, err = neurosim("run", TINY, "--engine", "cuda")
    assert (code, said) == (2, "")
    assert err.startswith("neurosim: Simulator: engine = 'cuda' cannot work on this machine: CuPy")
    assert "Traceback" not in err
    assert not any(Path().iterdir())


def test_a_run_of_a_gpu_is_shown_without_one(engine, none, tmp_path):
    config = load(TINY, ["training.engine=cuda"])
    Experiment(config, tmp_path).run(progress=False)
    none()
    shown = Kept.read(Folder(tmp_path))
    assert shown.learned["engine"] == "cuda"
    assert shown.trained.engine == "cpu"
    assert np.isfinite(shown.answers()[1]).all()


# --------------------------------------------------------------------------- the doctor


def test_the_doctor_finds_what_there_is(gpu, none, monkeypatch):
    versions = {"cupy": "14"}
    monkeypatch.setattr(environments, "version", lambda name: versions.get(name, "not installed"))
    gpu()
    found = dict(doctor.examine())
    assert found["GPU"] == device.words()
    assert found["GPU packages"] == "cupy 14"
    assert found["engine auto"] == f"cuda: {NAME}"
    gpu(memGetInfo=raising(RuntimeFailure("cudaErrorDevicesUnavailable: busy")))
    assert dict(doctor.examine())["GPU"].startswith(f"{NAME}, which does not answer (cudaErrorDev")
    none()
    versions.clear()
    found = dict(doctor.examine())
    assert found["GPU"].startswith("not used: CuPy is not installed; " + INSTALL)
    assert found["GPU packages"] == "none installed"
    assert found["engine auto"].startswith("cpu: CuPy is not installed; ")


def test_the_doctor_prints_brackets(neurosim, none):
    none()
    code, said, _ = neurosim("doctor")
    assert code == 0
    assert "neurosim-plasticity[cuda13]" in said


# ------------------------------------------------------------------------- on a real one


@needs_device
@pytest.mark.parametrize("decorrelated", [False, True])
def test_a_gpu_learns_what_the_cpu_learns(decorrelated):
    task = MackeyGlass(horizon=15, steps=200, batch=4, seed=3)
    histories = {}
    for name in ("cpu", "cuda"):
        net = ns.rnn(task.n_inputs, 40, task.n_targets, decorrelate=decorrelated, seed=3)
        rule = ns.ANP(learning_rate=1e-3, noise_std=1e-3)
        decorrelation = ns.Decorrelation(1e-5) if decorrelated else None
        sim = ns.Simulator(net, rule, decorrelation, batch=4, engine=name, seed=3)
        histories[name] = ns.train(sim, task, epochs=5, progress=False).frame
        assert sim.engine == name
    for column in ("train_mse", "test_mse"):
        cpu, cuda = histories["cpu"][column], histories["cuda"][column]
        np.testing.assert_allclose(cuda, cpu, rtol=0.02)
        assert cuda.iloc[-1] < cuda.iloc[0] / 2


def test_all_engines_are_named():
    assert list(ENGINES) == ["cpu", "objects", "cuda", "emulator"]
