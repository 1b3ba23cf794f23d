"""All that is said of speed and exactness on a GPU, measured in one call.

    python benchmarks/gpu.py [--quick] [--out FILE.json] [--sizes N ...]
                             [--only NAMES] [--stages NAMES]

Versions; what the card can do; whether the cuda engine agrees with the others, and peers with
NumPy; then microseconds a step of neurosim and of the same step as a CUDA graph (CuPy, cuBLAS),
in eager PyTorch and in JAX, by turns in this one process, beside the floors that bytes,
operations and the barrier set; an epoch of Mackey-Glass at full size; and each aim, met or not.

Whoever is not installed, and what does not fit into memory, is named and left out. The file is
written whole after every result, so Ctrl-C keeps all that was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import gpu_agreement, gpu_epochs, gpu_floors, gpu_rates, gpu_report, gpu_timing

SIZES = (100, 500, 1000, 2000, 3000)
BATCHES = (1, 10)
QUICK = {"sizes": (100, 1000), "batches": (10,), "repeats": 7, "seconds": 0.1, "plans": 4}
FULL = {"sizes": SIZES, "batches": BATCHES, "repeats": 9, "seconds": 0.3, "plans": None}
# Neurons and steps: as many as an emulator can do; as few as a tolerance is known for.
AGREED = {"emulator": (37, 36), "cpu": (21, 9)}


class Bench:
    """What was found so far, and the file it goes to."""

    def __init__(self, out: Path, settings: dict[str, Any], say: Callable[[str], None]) -> None:
        self.out, self.say = out, say
        self.found: dict[str, Any] = {"complete": False, "settings": settings}

    def keep(self, name: str, value: Any) -> None:
        """Keep a result, in the file too."""
        self.found[name] = value
        self.write()

    def write(self) -> None:
        """Write the file, or leave the old one as it is."""
        from neurosim.files import whole

        with whole(self.out) as temporary:
            temporary.write_text(json.dumps(self.found, indent=1, default=str) + "\n")


def missing() -> str | None:
    """What a GPU's benchmark lacks here, in a sentence; or None."""
    try:
        from neurosim.engines.cuda import device

        found: str | None = device.missing()
    except ImportError as error:
        found = None if error.name != "cupy" else f"CuPy is not installed ({error})"
    return found or _no_cupy()


def _no_cupy() -> str | None:
    """The same, without asking neurosim."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not installed ({error})"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # whatever a driver stumbles upon
        return f"CUDA finds no device ({error})"
    return None if count else "CUDA finds no device"


def measure(bench: Bench, setting: gpu_timing.Setting) -> None:
    """Measure everything that was asked for, in the order of the file's docstring."""
    settings = bench.found["settings"]
    bench.keep("versions", gpu_rates.versions())
    bench.keep("card", gpu_rates.card())
    bench.say(f"{bench.found['card']['name']}: {bench.found['card']}")
    for name in settings["stages"]:
        STAGES[name](bench, setting)
    bench.keep("card_afterwards", gpu_rates.state())
    bench.keep("complete", True)


def rate(bench: Bench, setting: gpu_timing.Setting) -> None:
    """What the card can do."""
    bench.keep("rates", gpu_rates.measure(setting.clock, bench.say))


def agree(bench: Bench, setting: gpu_timing.Setting) -> None:
    """Whether engines and peers compute the same."""
    settings, found = bench.found["settings"], {}
    ours = "neurosim" in settings["only"]
    for other, sizes in AGREED.items() if ours else ():
        found[other] = {}
        for name, result in gpu_agreement.engines(
            setting.engine, other, *sizes, most=settings["plans"]
        ):
            found[other][name] = result
            bench.keep("agreement", found)
            bench.say(f"{setting.engine} against {other}: {name}: {result}")
    peers = [name for name in settings["only"] if name != "neurosim"]
    found["peers"] = gpu_agreement.peers(peers, setting.where)
    bench.keep("agreement", found)
    if ours:
        found["tests"] = gpu_agreement.tests(bench.say)
        bench.keep("agreement", found)


def step(bench: Bench, setting: gpu_timing.Setting) -> None:
    """How long a step takes, everybody's."""
    settings = bench.found["settings"]
    cases = gpu_timing.cases(settings["sizes"], settings["batches"])
    rows: list[dict[str, Any]] = []
    for k, case in enumerate(cases):
        contenders = gpu_timing.time_case(case, settings["only"], setting)
        floors = gpu_floors.floors(case, bench.found.get("rates", {}))
        counted = {"name": case.name, "flops": case.flops, "bytes": case.bytes}
        rows.append({**asdict(case), **counted, "floors": floors, "contenders": contenders})
        bench.keep("cases", rows)
        times = ", ".join(f"{name} {gpu_report.us(r)}" for name, r in contenders.items())
        bench.say(f"[{k + 1}/{len(cases)}] {case}: us a step: {times}")


def epoch(bench: Bench, setting: gpu_timing.Setting) -> None:
    """How long an epoch takes, and many networks side by side."""
    if "neurosim" in bench.found["settings"]["only"]:
        bench.keep("epochs", gpu_epochs.mackey_glass(setting, bench.say))
        alone = _alone(bench.found.get("cases", []))
        bench.keep("side_by_side", gpu_epochs.many(setting, alone))


STAGES = {"rates": rate, "agreement": agree, "steps": step, "epochs": epoch}


def _alone(cases: Sequence[dict[str, Any]]) -> float | None:
    """What a step of one small network takes [ms]."""
    for case in cases:
        if (case["name"], case["hidden"], case["batch"]) == ("NP", gpu_epochs.SMALL, 10):
            taken: float | None = case["contenders"].get("neurosim", {}).get("ms_per_step")
            return taken
    return None


def show(found: dict[str, Any]) -> None:
    """Print tables, what is missing in them, and verdicts."""
    from neurosim.screen import console

    printed = console()
    for table in gpu_report.tables(found):
        printed.print(table)
        printed.print()
    for line in gpu_report.reasons(found):
        printed.print(f"- {line}", markup=False, highlight=False)
    for line in gpu_report.verdicts(found):
        printed.print(line, markup=False, highlight=False)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="N = 100 and 1000, B = 10, short runs")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), metavar="FILE.json")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="hidden neurons")
    known = ",".join(gpu_timing.CONTENDERS)
    parser.add_argument("--only", default=known, metavar="NAMES", help=f"some of {known}")
    stages = ",".join(STAGES)
    parser.add_argument("--stages", default=stages, metavar="NAMES", help=f"some of {stages}")
    read = parser.parse_args(given)
    for option, names in (("only", gpu_timing.CONTENDERS), ("stages", tuple(STAGES))):
        chosen = getattr(read, option).split(",")
        for name in chosen:
            if name not in names:
                parser.error(f"--{option}: {name!r} must be one of {','.join(names)}")
        setattr(read, option, [name for name in names if name in chosen])
    if read.sizes is not None and min(read.sizes) < 1:
        parser.error("--sizes: must be whole numbers >= 1")
    return read


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 if it came to the end."""
    read = arguments(given)
    lacking = missing()
    if lacking is not None:
        print(f"gpu.py: {lacking}. Nothing was measured.", file=sys.stderr)
        return 1
    settings = dict(QUICK if read.quick else FULL, only=read.only, stages=read.stages)
    settings |= {} if read.sizes is None else {"sizes": tuple(read.sizes)}
    begun = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    bench = Bench(read.out, settings, say)
    setting = gpu_timing.Setting(repeats=settings["repeats"], seconds=settings["seconds"])
    try:
        bench.write()
    except OSError as error:
        print(f"gpu.py: {error}. Nothing was measured.", file=sys.stderr)
        return 1
    failed = 0
    try:
        measure(bench, setting)
    except KeyboardInterrupt:
        failed = 130
        bench.keep("stopped", "interrupted")
    except Exception as error:
        failed = 1
        traceback.print_exc()
        bench.keep("stopped", gpu_timing.reason(error))
    show(bench.found)
    if failed:
        print(f"stopped: {bench.found['stopped']}; kept what was measured", file=sys.stderr)
    print(f"written: {bench.out}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
