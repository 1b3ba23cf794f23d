"""What `neurosim bench` measures and prints; never how fast anything is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosim import InputError, cli
from neurosim.engines.cuda import device
from neurosim.experiments import bench, registry
from neurosim.experiments.bench_cases import DEFAULT_RULES, RULES, Case, cases

SMALL = ["--size", "8,2", "--repeats", "1"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timed runs of a few steps, and no product to compare them with."""
    monkeypatch.setattr(bench, "SECONDS", 1e-4)
    monkeypatch.setattr(bench, "MOST", 6)
    monkeypatch.setattr(bench, "sgemm_rate", lambda: 1e9)


@pytest.fixture
def neurosim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs ``neurosim bench``: exit code and output."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurosim", "bench", *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return int(done.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def idle_peer(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A framework that does nothing: the problems that it was given."""
    problems = []

    class Peer:
        def __init__(self, problem: Any) -> None:
            problems.append(problem)

        def run(self) -> None:
            pass

    package = registry.peers()
    monkeypatch.setitem(package.INSTALL, "torch", "")
    monkeypatch.setattr(package, "find", lambda framework: Peer)
    return problems


def test_a_table_with_a_row_per_case(neurosim: Call) -> None:
    code, out, err = neurosim(*SMALL, "--size", "9,1", "--rule", "NP", "--rule", "DANP")
    assert (code, err) == (0, "")
    head, *rows = out.split("\n\n")[0].splitlines()
    for column in ("ms/step", "GFLOP/s", "of sgemm", "MB/step", "setup s", "compile s"):
        assert column in head
    assert [row.split()[:3] for row in rows] == [
        ["NP", "8", "2"],
        ["DANP", "8", "2"],
        ["NP", "9", "1"],
        ["DANP", "9", "1"],
    ]
    assert "sgemm" in out.split("\n\n")[1]


def test_json_is_all_that_is_printed(neurosim: Call) -> None:
    code, out, err = neurosim(*SMALL, "--rule", "ANP", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["settings"] == {
        "threads": 1,
        "repeats": 1,
        "against": None,
        "engine": "cpu",
    }
    assert {"python", "cores", "packages"} <= found["environment"].keys()
    (result,) = found["results"]
    assert (result["rule"], result["hidden"], result["batch"]) == ("ANP", 8, 2)
    assert result["bytes_per_step"] == 8 * (9 * 8 + 8 * 8 + 8)
    assert result["peers"] == {}
    seconds = result["ms_per_step"] / 1e3
    assert result["gflops"] == pytest.approx(6 * 8 * 8 * 2 / seconds / 1e9)
    assert result["of_sgemm"] == pytest.approx(result["gflops"])
    lanes = 2 * 2
    assert result["events_per_second"] == pytest.approx(lanes * (9 + 8 + 1) / seconds)
    synapses = 9 * 8 + 8 * 8 + 8
    assert result["synaptic_operations_per_second"] == pytest.approx(lanes * synapses / seconds)


def test_every_rule_can_be_measured() -> None:
    assert set(DEFAULT_RULES) < set(RULES)
    for name in RULES:
        case = Case(name, 5, 1)
        sim = case.simulator(case.network(), threads=1)
        assert type(sim.rule).__name__ == case.base
        assert (sim.decorrelation is not None) == ("D" in sim.weights) == name.startswith("D")
        assert sim.rule.distribution == ("rademacher" if "rademacher" in name else "normal")
        assert case.operations == (14 if name.startswith("D") else 6) * 25


def test_the_usual_cases() -> None:
    assert len(cases()) == len(DEFAULT_RULES) * 4
    assert {case.rule for case in cases(against="jax")} == {"NP", "ANP", "DNP", "DANP"}


def test_peers_run_the_same_problem(neurosim: Call, idle_peer: list[Any]) -> None:
    _, out, _ = neurosim(*SMALL, "--rule", "NP", "--rule", "DANP", "--against", "torch", "--json")
    np_, danp = json.loads(out)["results"]
    assert set(np_["peers"]) == {"torch"}
    assert set(danp["peers"]) == {"torch", "torch, cubic"}
    assert set(np_["peers"]["torch"]) == {"ms_per_step", "ratio"}
    assert {(p.rule, p.decorrelation) for p in idle_peer} == {
        ("NP", "quadratic"),
        ("ANP", "quadratic"),
        ("ANP", "cubic"),
    }
    sim = Case("DANP", 8, 2).simulator(Case("DANP", 8, 2).network(), threads=1)
    problem = idle_peer[-1]
    assert problem.learning_rate == problem.decorrelation_rate == sim.rule.learning_rate
    assert problem.noise_std == sim.rule.noise_std
    for name, weights in sim.weights.items():
        np.testing.assert_array_equal(problem.weights[name], weights)
    _, out, _ = neurosim(*SMALL, "--rule", "NP", "--against", "torch")
    assert "torch ms/step" in out
    assert "divided by neurosim's" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rule", "NPP"], "rule = 'NPP' does not exist; did you mean 'NP'?"),
        (["--size", "100"], "size = '100' must be N,BATCH"),
        (["--size", "100,0"], "size = '100,0' must be N,BATCH"),
        (["--size", "-1,x"], "size = '-1,x' must be N,BATCH"),
        (["--threads", "0"], "threads = 0 must be"),
        (["--repeats", "0"], "repeats = 0 must be"),
        (["--against", "tensorflow"], "against = 'tensorflow' does not exist; "),
        (["--against", "jax", "--rule", "WP"], "rule = 'WP' does not exist against jax"),
        (["--against", "jax", "--threads", "2"], "threads = 2 must be 1 against jax"),
        (["--against", "jax", "--engine", "objects"], "engine = 'objects' must be 'cpu' against j"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(
    neurosim: Call, arguments: list[str], says: str
) -> None:
    code, out, err = neurosim(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("neurosim: bench: ")
    assert says in err
    assert "Traceback" not in err


def test_another_engine(neurosim: Call) -> None:
    code, out, err = neurosim(*SMALL, "--rule", "DANP", "--engine", "objects")
    assert (code, err) == (0, "")
    assert "medians of 1 runs on engine objects; of sgemm: " in out
    case = Case("ANP", 5, 1)
    assert case.simulator(case.network(), 1, "objects").engine == "objects"
    _, out, _ = neurosim(*SMALL, "--rule", "NP", "--engine", "objects", "--json")
    assert json.loads(out)["settings"]["engine"] == json.loads(out)["environment"]["engine"]


def test_on_a_gpu_the_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "words", lambda: "NVIDIA H100, 78 of 80 GB free")
    results = [bench.measure(Case("NP", 8, 1), repeats=1)]
    said = bench.legend(results, threads=1, repeats=1, engine="cuda")
    assert "medians of 1 runs on engine cuda, NVIDIA H100, 78 of 80 GB free; of sgemm: " in said
    assert "on one thread of the CPU" in said


def test_without_a_gpu(neurosim: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    code, out, err = neurosim(*SMALL, "--rule", "NP", "--engine", "cuda")
    assert (code, out) == (2, "")
    assert "engine = 'cuda' cannot work on this machine: CuPy is not installed" in err
    code, out, err = neurosim(*SMALL, "--rule", "NP", "--engine", "auto")
    assert (code, err) == (0, "")
    assert out.startswith("engine auto is cpu: CuPy is not installed; ")
    code, out, err = neurosim(*SMALL, "--rule", "NP", "--engine", "auto", "--json")
    assert json.loads(out)["settings"]["engine"] == "cpu"


def test_a_missing_framework_says_how_to_install_it(
    neurosim: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    code, out, err = neurosim(*SMALL, "--against", "jax")
    assert (code, out) == (2, "")
    assert "pip install jax" in err


def test_peers_that_did_not_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_shipped", lambda *_: Path("nowhere"))
    with pytest.raises(InputError, match="does not exist"):
        registry.peers()


def test_prepare_finds_a_run_that_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SECONDS", 8.0)
    monkeypatch.setattr(bench, "MOST", 1000)
    clock = [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    built = []

    def build(steps: int) -> Callable[[], None]:
        built.append(steps)
        compiling = [5.0]

        def run() -> None:
            clock[0] += 0.125 * steps + (compiling.pop() if compiling else 0.0)

        return run

    run, steps, compiling = bench.prepare(build)
    assert built[0] == bench.FEW
    assert steps == built[-1] == 64
    assert compiling == pytest.approx(5.0)
    assert bench.seconds(run) == pytest.approx(8.0)
