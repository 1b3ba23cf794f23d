"""Kernels are compiled for GPUs without one: for what they are, and for what they must not be.

Nothing here needs a device or a driver: only numba-cuda, and NVIDIA's compilers as wheels.
"""

from __future__ import annotations

import ast
import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from fake_cupy import Machine
from test_agreement import Branching, BranchingOutlets
from test_agreement_on_chips import ALL
from test_scalar_functions import all_of_math, rule_with

import neurosim as ns
from neurosim import noise
from neurosim.engines import mathematics
from neurosim.engines.compile import compiled, compiling
from neurosim.engines.cuda import device, engine, kernel, on_desk, on_neurons, on_sums, on_synapses
from neurosim.engines.cuda.engine import THREADS
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.phases import Phases
from neurosim.engines.cuda.program import program
from neurosim.engines.cuda.registers import Usage, registers, usage
from neurosim.engines.plan import Plan

pytest.importorskip("numba_cuda", reason="numba-cuda, which compiles kernels, is not installed")
if not device._compiles():
    pytest.skip("NVIDIA's compiler (NVVM) is not installed", allow_module_level=True)

import numba
from numba import njit, types

F32, U32 = types.float32, types.uint32
OLDEST, AMPERE, HOPPER = (7, 5), (8, 0), (9, 0)
PHASES = (on_neurons, on_sums, on_desk, on_synapses)


# ------------------------------------------------------------------------------ kernels


def plan_of(rule, decorrelation=None, hidden=70, batch=1, neuron=None, **chip):
    decorrelate, neuron = decorrelation is not None, neuron or ns.Tanh()
    net = ns.rnn(3, hidden, 2, decorrelate=decorrelate, neuron=neuron, seed=1)
    return Plan(net, rule, decorrelation, ns.Substrate(**chip), batch, 0)


LATE = {"schedule": "window", "window": 3, "reward": "return_to_go", "reward_scope": "batch"}
LATE |= {"optimiser": "adam", "normalise": 1.0, "passes": "both"}
# Together they have every phase; the first three are the ones that people run.
KERNELS = {
    "NP": (plan_of(ns.NP(1e-3), hidden=100), Launch(25, THREADS, 16_000)),
    "DANP": (
        plan_of(ns.ANP(1e-3), ns.Decorrelation(1e-3), hidden=1000, batch=10),
        Launch(132, THREADS, 40_000),
    ),
    "WP": (plan_of(ns.WP(1e-3, pairs=1), hidden=100, batch=3), Launch(25, THREADS)),
    "RFLO": (plan_of(ns.RFLO(1e-3), batch=2), Launch(1, THREADS, 16_000)),
    "feedback": (plan_of(ns.LearnedFeedback(1e-3), batch=4), Launch(18, THREADS)),
    "late": (
        plan_of(
            *(ns.ANP(1e-3, **LATE), ns.LocalDecorrelation(1e-3)),
            batch=2,
            neuron=ns.ReLU(tau=2.0),
            reward_delay=2,
            act_read_noise=0.1,
        ),
        Launch(18, THREADS),
    ),
    "a chip": (
        plan_of(
            *(ns.ANP(1e-3, passes="both", resync_every=2), ns.Decorrelation(1e-3)),
            **{"batch": 2, "neuron": ns.Tanh(tau=2.0), **ALL},
        ),
        Launch(18, THREADS, 16_000),
    ),
    "one's own": (
        plan_of(Branching(1e-3), BranchingOutlets(1e-3), neuron=ns.Linear()),
        Launch(18, THREADS, 16_000),
    ),
}
PLAIN = ("NP", "DANP", "WP", "RFLO", "feedback")  # on the ideal chip, by rules that come with it
WAITS = {"NP": 1, "DANP": 2, "WP": 1, "RFLO": 1, "feedback": 1, "late": 2, "a chip": 3}
OLDER = {"RFLO": OLDEST, "feedback": AMPERE}
FOR = [(name, OLDER.get(name, HOPPER)) for name in KERNELS]


@cache
def written(name):
    """A kernel's program, and its layout."""
    layout = Layout(*KERNELS[name])
    return program(layout), layout


def operations(ptx):
    """How often PTX has which instruction."""
    return Counter(re.findall(r"^\s+(?:@!?%\w+\s+)?([a-z]\w*(?:\.\w+)*)\s", ptx, re.MULTILINE))


def some(ptx, *parts):
    """Instructions with one of these among their parts."""
    return {name: n for name, n in operations(ptx).items() if set(parts) & set(name.split("."))}


def arithmetic(ptx, kind):
    """Instructions that compute with numbers of a kind, rather than move them."""
    return {name: n for name, n in some(ptx, kind).items() if name.split(".")[0] not in MOVES}


MOVES = ("ld", "st", "mov")
SIGN = re.compile(
    r"setp\.\w+\.s64\s.*, (?:0|-1);|shr\.s64\s.*, 63;|and\.b64\s.*, -9223372036854775808;"
)


def signed(ptx):
    """Of what is looked up in the table: places that may count from the end, by their signs.

    An unsigned index is multiplied and added, and that is all; of any other it is asked first
    whether its sign is set, a few instructions before.
    """
    made, found = {}, []
    for line in ptx.splitlines():
        names = re.findall(r"%\w+", line)
        if names:
            made.setdefault(names[0], []).append((line, names[1:]))
    for line in ptx.splitlines():
        if "ld.const" not in line:
            continue
        near, steps = set(re.findall(r"%\w+", line)[1:]), 0
        while near and steps < 5:
            lines = [each for name in near for each in made.get(name, ())]
            found += [text.strip() for text, _ in lines if SIGN.search(text)]
            near, steps = {name for _, names in lines for name in names}, steps + 1
    return found


@pytest.mark.parametrize(("name", "capability"), FOR)
def test_a_kernel(name, capability, record_property):
    given, layout = written(name)
    ptx = kernel.compiled(given, layout, capability).ptx
    assert f".target sm_{capability[0]}{capability[1]}\n" in ptx
    assert ptx.count(".entry") == 1
    assert ptx.count(".func") == 0  # all is in one piece
    assert f".maxntid {THREADS}, 1, 1" in ptx
    assert ptx[ptx.index(".entry") : ptx.index("{", ptx.index(".entry"))].count(".param") == 9
    # What other blocks write is never read from a cache that does not know of it.
    assert not some(ptx, "nc", "call", "local")
    # Twice 64 bits instead of once 32, here and there, is where rules and chips leave float32.
    if name in PLAIN:
        assert not some(ptx, "f64")
    if name != "one's own":
        assert not some(ptx, "approx")
        assert not some(ptx, "ftz")
    assert not signed(ptx)
    waits = ptx.count("red.relaxed.gpu.global.add.u32")
    assert waits == (len(given.step) + 2 if layout.launch.blocks > 1 else 0)
    assert ptx.count("fence.acq_rel.gpu;") == waits
    used = registers(ptx, capability)
    record_property("usage", str(used))
    print(f"{name} for sm_{capability[0]}{capability[1]}: {used}")
    assert used.registers * THREADS <= 65536  # or no multiprocessor could run a block
    assert (used.spilled_stores, used.spilled_loads, used.stack) == (0, 0, 0)


@pytest.mark.parametrize("name", WAITS)
def test_blocks_wait_once_a_step_and_once_more_with_decorrelation(name):
    """And once more where outputs need something that only one block has."""
    given, layout = written(name)
    assert len(given.step) == WAITS[name]
    text, _ = kernel.source(given, layout)
    body = text[text.index("while t < stop") : text.rindex("t = U(t + 1)")]
    assert body.count("while arrived(") == (WAITS[name] if layout.launch.blocks > 1 else 0)


@pytest.mark.parametrize("blocks", [1, 132])
def test_the_wait_by_itself_is_compiled(blocks, monkeypatch):
    """Which the benchmark measures, on a device; here it is launched on nothing."""
    found, launched = [], []

    def load(ptx, *more):
        found.append((ptx, *more))
        return lambda *given: launched.append(given)

    cupy = Machine().cupy()
    event = SimpleNamespace(record=lambda: None, synchronize=lambda: None)
    cupy.cuda.Event, cupy.cuda.get_elapsed_time = (lambda: event), (lambda *_: 2.5)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(engine, "_load", load)
    assert engine.bare_barrier(blocks, THREADS, 50) == 2.5
    ((ptx, shared, waits, _),) = found
    assert (shared, waits) == (0, blocks > 1)
    assert ptx.count("red.relaxed.gpu.global.add.u32") == ptx.count("fence.acq_rel.gpu;")
    assert ("ld.acquire.gpu" in ptx, "red.relaxed" in ptx) == (waits, waits)
    assert ptx.count("bar.sync") == (2 if waits else 1)
    (*_, (grid, block, (_, count))) = launched
    assert (grid, block, count) == ((blocks,), (THREADS,), 50)


# --------------------------------------------------------------------------- all phases


def phases_of(name):
    return [work.phase for work in written(name)[0].works if work.phase is not None]


def names_of_phases(module):
    """Names of all phases that a module has or makes."""
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, ast.FunctionDef):
            given = [argument.arg for argument in node.args.args]
            public = not node.name.startswith("_") and not node.decorator_list
            if public and given[:2] == ["chip", "where"] and given[3:] == ["t"]:
                yield node.name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0]
            made = node.func.id.startswith("_") and isinstance(first, ast.Constant)
            if made and isinstance(first.value, str) and first.value.isidentifier():
                yield first.value


def test_kernels_have_every_phase_between_them():
    found = {phase.name for name in KERNELS for phase in phases_of(name)}
    expected = {name for module in PHASES for name in names_of_phases(module)}
    assert expected - found == set()
    assert len(expected) > 40


def test_kernels_have_phases_in_all_their_kinds():
    """Where one template makes several, told apart by what they close over."""
    found = {}
    for name in KERNELS:
        for phase in phases_of(name):
            cells = [cell.cell_contents for cell in phase.function.__closure__ or ()]
            kind = tuple(value for value in cells if isinstance(value, bool))
            found.setdefault(phase.name, set()).add(kind)
    assert {name: len(found[name]) for name in ("fold", "accumulate", "absorb_outlets")} == {
        "fold": 3,
        "accumulate": 2,
        "absorb_outlets": 2,
    }
    made = [name for name, value in vars(Phases).items() if isinstance(value, property)]
    assert {"broadcast", "signal", "absorb", "accumulate", "optimise"} <= set(made)


# ------------------------------------------------------------------------- alone


def alone(function, *kinds, capability=HOPPER):
    """PTX of a function by itself; what it gives is written to memory."""
    names = ", ".join(f"a{i}" for i in range(len(kinds)))
    scope = {"function": function, "F": np.float32}
    exec(f"def kernel(out, {names}):\n    out[0] = F(function({names}))", scope)
    return kernel.assemble(scope["kernel"], (types.CPointer(F32), *kinds), THREADS, capability)


def four(distribution):
    """The sum of four draws for weights next to each other."""
    inner = on_sums.four_draws

    def drawn(seed, stream, step, pass_, index):
        z0, z1, z2, z3 = inner(distribution, seed, stream, step, pass_, index)
        return z0 + z1 + z2 + z3

    return njit(drawn)


DRAWS = {
    "normal": (on_neurons.normal, 6),
    "uniform": (on_neurons.uniform, 6),
    "either": (on_neurons.draw, 7),
    "four": (four(noise.NORMAL), 5),
    "four signs": (four(noise.RADEMACHER), 5),
}


@pytest.mark.parametrize("what", DRAWS)
def test_noise_is_drawn_without_fused_approximate_or_wide_arithmetic(what):
    """Or it would not be the same noise on every engine."""
    function, n = DRAWS[what]
    ptx = alone(function, *[U32] * n)
    assert not some(ptx, "fma", "mad", "approx", "ftz", "f64", "local", "call")
    assert some(ptx, "f32")
    used = registers(ptx, HOPPER)
    assert used.registers <= 40
    assert used.stack == 0


def test_what_is_written_as_fused_is_fused_and_nothing_else_is():
    fused = on_sums.fused
    assert some(alone(njit(lambda a, b, c: fused(a, b, c)), F32, F32, F32), "fma")
    ptx = alone(njit(lambda a, b, c: a * b + c), F32, F32, F32)
    assert not some(ptx, "fma")
    assert some(ptx, "mul")


@pytest.mark.parametrize("name", ["tanh", "exp"])
def test_functions_of_rules_are_made_of_exact_arithmetic(name):
    ptx = alone(getattr(mathematics.exact, name), F32)
    assert not some(ptx, "fma", "approx", "ftz", "f64", "call")


def test_powers_of_whole_numbers_are_floats():
    """Of whole numbers, the compiler's own power is whole, so that 2 ** -2 is 0."""
    function = compiled(lambda a: 2 ** (1 if a > 0 else -2), exact=True)
    assert arithmetic(alone(function, F32), "f64")
    square = alone(compiled(lambda a: a**2, exact=True), F32)
    assert some(square, "mul")
    assert not some(square, "f64", "call")


SCALAR = {
    name: value
    for module in PHASES
    for name, value in vars(module).items()
    if hasattr(value, "py_func") and value.py_func.__module__.startswith("neurosim.substrate")
}


@pytest.mark.parametrize("name", [*SCALAR, "tanh", "exp"])
def test_functions_have_the_same_types_on_a_gpu_as_on_the_cpu(name):
    """What is float64 on one and float32 on the other is not the same to the bit."""
    from numba.cuda import compiler

    function = SCALAR.get(name) or getattr(mathematics.exact, name)
    n = function.py_func.__code__.co_argcount
    kinds, names = ((U32 if name == "slow" else F32,) * n, ", ".join(f"a{i}" for i in range(n)))
    probe = eval(f"lambda {names}: function({names})", {"function": function})
    here = njit(probe)
    here.compile(kinds)
    (found,) = here.overloads.values()
    with kernel._capability(HOPPER):
        there = compiler.compile_cuda(probe, None, kinds, cc=HOPPER)
    assert str(there.signature.return_type) == str(found.signature.return_type)


@pytest.mark.parametrize("size", [8, 300])
def test_a_signed_index_would_be_found(size):
    table = np.arange(size, dtype=np.uint32)
    assert signed(alone(njit(lambda i: table[i]), types.int64))
    ptx = alone(njit(lambda i: table[np.uint32(i - 3)]), U32)
    assert some(ptx, "const")
    assert not signed(ptx)


def test_a_double_would_be_found():
    ptx = alone(njit(lambda a: a * 0.1), F32)
    assert arithmetic(ptx, "f64")
    assert some(alone(njit(lambda a: math.log1p(a)), F32), "approx", "f64", "fma")


# ---------------------------------------------------------------------------- registers


SAYS = """ptxas info    : 0 bytes gmem, 1088 bytes cmem[3]
ptxas info    : Compiling entry function 'run' for 'sm_90'
ptxas info    : Function properties for run
    {} bytes stack frame, {} bytes spill stores, {} bytes spill loads
ptxas info    : Used {} registers, used 1 barriers, 600 bytes cmem[0]
"""


def test_what_an_assembler_says_is_read():
    assert usage(SAYS.format(16, 8, 12, 255)) == Usage(255, 8, 12, 16)
    with pytest.raises(ns.InputError, match="the assembler does not tell"):
        usage("ptxas info    : 0 bytes gmem")


def test_what_cannot_be_assembled_is_refused():
    with pytest.raises(ns.InputError, match="no code for sm_90"):
        registers("this is no PTX", HOPPER)
    ptx = alone(on_neurons.uniform, *[U32] * 6)
    with pytest.raises(ns.InputError, match=r"no code for sm_80 .*\.target"):
        registers(ptx, AMPERE)
    with pytest.raises(ns.InputError, match="sm_10"):
        registers(ptx, (1, 0))


def test_a_kernel_that_spills_would_be_found():
    """One that keeps 100 numbers at once, where 1024 threads have 64 registers each."""
    n, most = 100, 1024
    lines = [f"    v{i} = given[first + {i}]" for i in range(n)]
    lines += ["    k = 0", "    while k < count:"]
    lines += [f"        v{i} = v{i} * v{(i + 7) % n} + v{(i * 31 + 11) % n}" for i in range(n)]
    lines += ["        k += 1", *[f"    given[first + {i}] = v{i}" for i in range(n)]]
    text = f"def kernel(given, count):\n    first = {n} * cuda.threadIdx.x\n" + "\n".join(lines)
    scope = {"cuda": numba.cuda}
    exec(text, scope)
    ptx = kernel.assemble(scope["kernel"], (types.CPointer(F32), types.int64), most, HOPPER)
    found = registers(ptx, HOPPER)
    assert 48 < found.registers <= 65536 // most
    assert min(found.spilled_stores, found.spilled_loads, found.stack) > 0


def test_another_assembler_says_much_the_same(tmp_path):
    ptxas = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
    if not Path(ptxas).exists():
        pytest.skip("ptxas, which comes with the whole of CUDA, is not installed")
    ptx = alone(on_neurons.normal, *[U32] * 6)
    (tmp_path / "kernel.ptx").write_text(ptx)
    out = ["-o", tmp_path / "kernel.cubin", tmp_path / "kernel.ptx"]
    done = subprocess.run([ptxas, "-v", "-arch=sm_90", *out], capture_output=True, text=True)
    if "Unsupported .version" in done.stderr:
        pytest.skip("ptxas is older than the compiler")
    said, found = usage(done.stderr), registers(ptx, HOPPER)
    assert abs(said.registers - found.registers) <= 12
    assert replace(said, registers=0) == replace(found, registers=0)


# --------------------------------------------------------------------- kept on the disk


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """How often something was compiled, which it is not; the folder of the cache is empty."""
    found = []

    def compile_ptx(given, layout, capability):
        found.append(capability)
        return f".entry run_{len(found)}("

    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel, "compile_ptx", compile_ptx)
    return found


def find(rule, capability=HOPPER, launch=None, **given):
    layout = Layout(plan_of(rule, **given), launch or Launch(2, THREADS))
    return kernel.compiled(program(layout), layout, capability)


def test_a_kernel_is_compiled_once(counted):
    first = find(ns.NP(1e-3))
    assert (first.ptx, first.capability) == (".entry run_1(", HOPPER)
    assert kernel.entry(first.ptx) == "run_1"
    assert find(ns.NP(1e-3)) == first
    # Rates, noise and seeds are told when it is launched.
    assert find(ns.NP(2e-3, noise_std=0.5), w_max=None) == first
    assert len(counted) == 1
    others = [
        find(ns.NP(1e-3), AMPERE),
        find(ns.NP(1e-3), hidden=71),
        find(ns.NP(1e-3), batch=2),
        find(ns.NP(1e-3), launch=Launch(3, THREADS)),
        find(ns.NP(1e-3), launch=Launch(2, 128)),
        find(ns.NP(1e-3), neuron=ns.ReLU()),
        find(ns.ANP(1e-3)),
        find(ns.NP(1e-3), act_noise=0.1),
    ]
    assert len({code.ptx for code in (first, *others)}) == len(counted) == 9


CODE = """
import math
from dataclasses import dataclass

FACTOR = {factor}

def helper(value):
    return {helper}

@dataclass(frozen=True)
class Mine:
    learning_rate: float
    noise_std: float = 0.1

    @staticmethod
    def reward(delta_loss, variance):
        return {reward}

    @staticmethod
    def neuron(noise, reward):
        return noise * reward

    @staticmethod
    def synapse(pre, signal):
        return FACTOR * helper(pre) * signal
"""
AS_IT_IS = {"factor": "2", "helper": "math.tanh(value)", "reward": "delta_loss / variance"}
EDITS = [{}, {"factor": "3"}, {"helper": "math.exp(value)"}, {"reward": "delta_loss"}]


def test_an_edited_rule_is_compiled_anew(counted, monkeypatch):
    codes = []
    for edit in (*EDITS, {}):
        module = ModuleType("mine")
        monkeypatch.setitem(sys.modules, "mine", module)
        exec(CODE.format(**AS_IT_IS | edit), vars(module))
        codes.append(find(module.Mine(1e-3)).ptx)
    assert len(counted) == len(set(codes)) == len(EDITS)
    assert codes[-1] == codes[0]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_run(counted, tmp_path, mode):
    find(ns.NP(1e-3))
    (kept,) = (tmp_path / "cache" / "kernels").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    for place, its in ((kept, mode), (kept.parent, 0o700 | mode)):
        kept.write_text(".entry planted(")
        place.chmod(its)
        assert find(ns.NP(1e-3)).ptx == f".entry run_{len(counted)}("
        assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert len(counted) == 3


def test_what_is_no_text_is_compiled_anew(counted, tmp_path):
    find(ns.NP(1e-3))
    (kept,) = (tmp_path / "cache" / "kernels").iterdir()
    kept.write_bytes(b"\xff\xff")
    assert [find(ns.NP(1e-3)).ptx for _ in range(2)] == [".entry run_2("] * 2


def test_a_cache_that_cannot_be_written_or_read_is_done_without(counted, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "file"))
    assert [find(ns.NP(1e-3)).ptx for _ in range(2)] == [".entry run_1(", ".entry run_2("]


def test_another_compiler_compiles_anew(counted, monkeypatch):
    find(ns.NP(1e-3))
    monkeypatch.setattr(kernel, "_version", lambda: "99.0")
    find(ns.NP(1e-3))
    monkeypatch.setattr(numba, "__version__", "99.0")
    find(ns.NP(1e-3))
    assert len(counted) == 3


# ----------------------------------------------------------------------- what is refused


def test_a_rule_that_cannot_be_compiled_is_named():
    rule = rule_with(neuron=lambda noise, reward: (1, 2.5)[int(noise > 0)] * reward)
    plan = plan_of(rule(1e-3), hidden=3)
    layout = Layout(plan, Launch(1, THREADS))
    said = r"^Mine: <lambda>\(\) cannot be compiled"
    with pytest.raises(ns.InputError, match=said), compiling(plan):
        kernel.compile_ptx(program(layout), layout, HOPPER)


def test_the_capability_is_asked_for_again_afterwards():
    from numba.cuda import dispatcher

    asked, found = dispatcher.get_current_device, []

    def fail():
        with kernel._capability(AMPERE):
            found.append(dispatcher.get_current_device().compute_capability)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found == [AMPERE]
    assert dispatcher.get_current_device is asked


def test_functions_of_python_are_found_where_they_are_used():
    """A function compiled for the CPU is compiled anew for a GPU, from the same text."""
    function = compiled(ns.NP.reward, exact=True)
    assert some(alone(function, F32, F32), "div")


def test_the_compiler_for_gpus_has_all_of_math_that_is_offered():
    plan = plan_of(rule_with(neuron=all_of_math("noise", "reward"))(1e-3), hidden=3)
    layout = Layout(plan, Launch(1, THREADS))
    assert kernel.NAME in kernel.compile_ptx(program(layout), layout, HOPPER)
