"""Define the cases: methods, and the tasks, networks and chips they are compared on."""

from dataclasses import dataclass, field

TUNING = (1, 2)  # seeds on which rates are chosen


@dataclass(frozen=True)
class Method:
    """A row of a table: tables of a config, and the rates to try first."""

    name: str
    rule: dict
    rate: float = 1e-2  # in the middle of the first three
    only: tuple[str, ...] = ()  # projections that learn; all, if none is named
    decorrelation: dict | None = None
    local: bool = True


SEQUENCE = {"schedule": "sequence", "optimiser": "adam", "noise_std": 1e-2}
TO_GO = {**SEQUENCE, "reward": "return_to_go"}
APART = {"pairs": 16, "layers": "separate"}
BACK = {**SEQUENCE, **APART, "resync_every": 1}

READOUT = Method("readout alone", {"name": "ANP", **SEQUENCE}, 3e-2, only=("B",))
NP_16 = Method("NP, return to go, 16 pairs", {"name": "NP", **TO_GO, **APART})
NP_2 = Method("NP, return to go, two passes", {"name": "NP", **TO_GO}, 3e-3)
WP_16 = Method(
    "WP, global reward, 16 pairs", {"name": "WP", **SEQUENCE, "pairs": 16, "reward": "global"}, 3e-3
)
FEEDBACK = Method("learned feedback", {"name": "LearnedFeedback", "feedback_rate": 1.0, **SEQUENCE})
BP = Method("BPTT", {"name": "BPTT", "schedule": "sequence"}, local=False)
SMALL = [
    READOUT,
    NP_16,
    Method("ANP, return to go, 16 pairs", {"name": "ANP", **TO_GO, **APART}),
    NP_2,
    Method("ANP, return to go, two passes", {"name": "ANP", **TO_GO}, 3e-3),
    Method("NP, reward per step, set back, 16 pairs", {"name": "NP", **BACK}),
    Method("ANP, reward per step, set back, 16 pairs", {"name": "ANP", **BACK}),
    Method("NP, global reward, 16 pairs", {"name": "NP", **SEQUENCE, **APART, "reward": "global"}),
    WP_16,
    FEEDBACK,
    Method("ANP, reward per step, two passes (the paper's)", {"name": "ANP", **SEQUENCE}, 3e-3),
    BP,
    Method("BPTT, k = 1", {"name": "BPTT", "truncate": 1, "schedule": "sequence"}, local=False),
]
PAIRS = [
    Method(
        f"NP, return to go, {n} pair{'s' * (n > 1)}",
        {"name": "NP", **TO_GO, "layers": "separate", "pairs": n},
    )
    for n in (1, 4, 16)
]
BOTH = Method(
    "ANP, return to go, both passes noisy",
    {"name": "ANP", **TO_GO, "passes": "both", "noise_std": 0.0},
    3e-3,
)
ON_CHIPS = [READOUT, NP_16, NP_2]


def windows(steps: int, pairs: int = 16, noise: float = 1e-3) -> list[Method]:
    """Give the rules that learn in windows of some steps, beside what they are compared with."""
    adam = {"optimiser": "adam"}
    window = {"window": steps, "resync_every": steps, "reward": "return_to_go", "noise_std": noise}
    many = {**adam, **window, "pairs": pairs, "layers": "separate"}
    return [
        Method("readout alone", {"name": "ANP", **adam}, 1e-3, only=("B",)),
        Method(f"ANP, window {steps}, {pairs} pairs", {"name": "ANP", **many}, 1e-3),
        Method("learned feedback", {"name": "LearnedFeedback", "feedback_rate": 1.0}),
        Method("ANP, two passes (the paper's)", {"name": "ANP"}, 1e-3),
        Method(
            "DANP, two passes (the paper's)", {"name": "ANP"}, 3e-3,
            decorrelation={"name": "Decorrelation", "learning_rate": 1e-5},
        ),
        Method("BPTT, chunks of 100", {"name": "BPTT", "chunk": 100}, 1e-3, local=False),
    ]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Settings that the rows of a table, or of a part of it, have in common."""

    name: str
    task: dict
    network: dict
    methods: list[Method]
    epochs: int = 50
    batch: int = 20
    substrate: dict = field(default_factory=dict)
    tuning: tuple[int, ...] = TUNING
    close: float = 2.0  # the next lower rate is taken if its error is so many times the least
    goal: float = 0.1  # part of the untrained network's ridge readout's error: learned, if below


TEN = {"hidden": 10, "recurrent": "orthogonal", "gain": 0.9, "bias": 0.3}
TASKS = {  # 30 updates an epoch, of 20 fresh sequences each
    "parity": {"name": "parity", "bits": 3, "steps": 20},
    "flip-flop": {"name": "flip_flop", "steps": 20},
    "sine": {"name": "sine", "steps": 20},
    "delayed xor": {"name": "delayed_xor", "gap": 3, "delay": 5},
    "evidence": {"name": "evidence"},
}
TASKS = {name: {**task, "sequences": 30} for name, task in TASKS.items()}
CHIPS = {
    "ideal": {},
    "8-bit weights": {"w_bits": 8, "w_max": 2.0, "rounding": "stochastic"},
    "reward of 4 bits": {"reward_bits": 4},
    "reward 10 steps late": {"reward_delay": 10},
    "10 % mismatch": {"mismatch_gain": 0.1, "mismatch_offset": 0.1},
    "noise of 0.01": {"act_noise": 0.01},
}
CHIPS["all of it"] = {name: value for chip in CHIPS.values() for name, value in chip.items()}
BOTH_TASKS = ("flip-flop", "parity")
LARGE = {"close": 1.15, "goal": 1.0}  # tasks of which a readout learns most
TUNED = {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 5.0, "bias": 0.1}
MACKEY_GLASS = {"name": "mackey_glass", "horizon": 15, "steps": 1000}
COPYING = {"name": "copying", "length": 5, "delay": 5, "sequences": 20}


def reach():
    """How far it goes: neurons, steps, pairs."""
    some = [NP_16, NP_2, FEEDBACK, BP]
    how = {"tuning": TUNING[:1]}
    for n in (5, 30, 100):
        network = {**TEN, "hidden": n}
        yield Case(f"parity, N = {n}", TASKS["parity"], network, [*some, WP_16], **how)
    for name, steps in (("flip-flop", 50), ("flip-flop", 100), ("parity", 100)):
        yield Case(f"{name}, T = {steps}", {**TASKS[name], "steps": steps}, TEN, some, **how)
    yield Case("parity, pairs", TASKS["parity"], TEN, PAIRS, **how)


def weather(starts: dict):
    """Forecasts, from starts that were chosen on training data."""
    for hours in (1, 24, 48):
        task = {"name": "weather", "horizon": hours, "centre_inputs": True}
        network = {"hidden": 100, **starts.get(f"weather {hours} h", {})}
        # Credit over time takes hours here: once, where memory should be of most use.
        methods = [m for m in windows(10, 4) if "window" not in m.name or hours == 48]
        how = {"epochs": 20, "batch": 10, "tuning": TUNING[:1], **LARGE}
        yield Case(f"weather {hours} h", task, network, methods, **how)


def tables(starts: dict) -> dict[str, list[Case]]:
    """Give the cases of every table.

    `starts` are those of the weather's networks, by case; where one is missing, the paper's.
    """
    copying = {"epochs": 100, "batch": 10, **LARGE}
    return {
        "small": [Case(name, task, TEN, SMALL) for name, task in TASKS.items()],
        "reach": list(reach()),
        "chips": [
            Case(
                f"{name}, {chip}",
                TASKS[name],
                TEN,
                [*ON_CHIPS, BOTH] if "act_noise" in given else ON_CHIPS,  # its own noise alone
                substrate=given,
                tuning=TUNING[:1],
            )
            for name in BOTH_TASKS
            for chip, given in CHIPS.items()
        ],
        "mackey_glass": [
            Case(
                f"Mackey-Glass, N = {n}",
                MACKEY_GLASS,
                {"hidden": n, **TUNED},
                windows(20),
                batch=10,
                **LARGE,
            )
            for n in (50, 100)
        ],
        "copying": [
            Case("copying 5 + 5", COPYING, {"hidden": 100}, windows(15), **copying),
        ],
        "weather": list(weather(starts)),
    }
