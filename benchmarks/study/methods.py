"""Define the rules, options and starts that improvements.py compares, at a hundred neurons."""

from dataclasses import dataclass, field

from study.cases import COPYING, MACKEY_GLASS, TUNED

MEMORY, WEATHER = ("mackey_glass", "copying"), ("weather_1h", "weather_24h", "weather_48h")
TASKS = {  # and how many epochs
    "mackey_glass": (MACKEY_GLASS, 50),
    "copying": (COPYING, 100),
    "weather_1h": ({"name": "weather", "horizon": 1}, 20),
    "weather_24h": ({"name": "weather", "horizon": 24}, 20),
    "weather_48h": ({"name": "weather", "horizon": 48}, 20),
}
RATES_OF = {"weather_24h": "weather_48h"}  # nothing is chosen for the one, but for the other
# Where a network starts: as the paper's, or from what suits a readout of it on this task.
CALM = {"recurrent": "orthogonal", "gain": 0.3, "input_gain": 3.0, "bias": 0.3}
STARTS: dict[str, dict] = {
    "paper": {task: {} for task in TASKS},
    "suited": {
        "mackey_glass": TUNED,
        "copying": {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 0.3},
        **dict.fromkeys(WEATHER, CALM),
    },
}

SGD = (3e-3, 1e-2, 3e-2, 1e-1)  # of a readout
ADAM = (1e-4, 3e-4, 1e-3, 3e-3)
NLMS = (0.03, 0.1, 0.3, 0.8)
SLOW = (1e-6, 1e-5, 1e-4, 1e-3)  # of a hidden layer that learns by noisy estimates
LOW = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
QUICK = (1e-5, 1e-4, 1e-3, 1e-2)
FINE = (3e-3, 1e-2, 2e-2, 3e-2)
STAGES = ("readout", "hidden", "decorrelation")  # the order in which rates are chosen


@dataclass(frozen=True)
class Method:
    """A row of a table: tables of a config, and the learning rates to try.

    `hidden` are rates of A and R (and of b, where there is one), `readout` those of B; without any,
    the hidden layer does not learn. With `joint`, one rate is everyone's.
    """

    name: str
    rule: dict
    readout: tuple[float, ...] = SGD
    hidden: tuple[float, ...] = ()
    joint: bool = False
    start: str = "paper"
    network: dict = field(default_factory=dict)
    decorrelation: dict | None = None
    broadcast: str = "1 scalar per population"
    local: bool = True
    only: tuple[str, ...] = tuple(TASKS)

    @property
    def grids(self) -> dict[str, tuple[float, ...]]:
        """Rates to try, by stage; those of a stage that it does not have are none."""
        rates = () if self.decorrelation is None else (1e-5, 1e-4, 1e-3)
        return dict(zip(STAGES, (self.readout, self.hidden, rates), strict=True))


ANP, FB = {"name": "ANP"}, "n_out errors and n_out residuals"
WINDOW = {
    "name": "ANP", "reward": "return_to_go", "window": 20, "resync_every": 20, "pairs": 16,
    "optimiser": "adam",
}  # fmt: skip
FRESH = {"name": "ANP", "layers": "separate", "resync_every": 1, "pairs": 1}
FEEDBACK = {"name": "LearnedFeedback", "feedback_rate": 1.0}
EQ6, LOCAL = {"name": "Decorrelation"}, {"name": "LocalDecorrelation"}
SHORT = {"window": 10, "resync_every": 10, "pairs": 4}

METHODS = [
    # The paper's rules, with the scale that gives a readout of one output its delta rule.
    Method("NP", {"name": "NP"}, LOW, joint=True, broadcast="1 scalar"),
    Method("WP", {"name": "WP"}, LOW, joint=True, broadcast="1 scalar"),
    Method("ANP", ANP, (1e-4, 1e-3, 3e-3, 1e-2), joint=True),
    Method("DANP", ANP, (1e-4, 1e-3, 3e-3, 1e-2), joint=True, decorrelation=EQ6),
    # The readout alone, the hidden layer as it was drawn.
    Method("readout", ANP),
    Method("readout, momentum", {**ANP, "optimiser": "momentum"}, (3e-4, 1e-3, 3e-3, 1e-2)),
    Method("readout, Adam", {**ANP, "optimiser": "adam"}, ADAM),
    Method("readout, normalised", {**ANP, "normalise": 1.0}, NLMS, broadcast="2 scalars"),
    Method("readout, Eq. 6", ANP, decorrelation=EQ6),
    Method("readout, D-free", ANP, decorrelation=LOCAL),
    Method("readout, Adam, D-free", {**ANP, "optimiser": "adam"}, ADAM, decorrelation=LOCAL),
    # The hidden layer too, from the paper's start.
    Method("ANP, two rates", ANP, SGD, QUICK),
    Method("ANP, Adam", {**ANP, "optimiser": "adam"}, ADAM, (1e-6, 1e-5, 1e-4, 1e-3)),
    Method("ANP, momentum", {**ANP, "optimiser": "momentum"}, (3e-4, 1e-3, 3e-3), SLOW),
    Method(
        "ANP, normalised", {**ANP, "normalise": 1.0}, NLMS, (1e-3, 1e-2, 1e-1, 0.5),
        broadcast="2 scalars per projection",
    ),
    Method("fresh noise, layers apart", FRESH, SGD, QUICK),
    Method("the same, 8 pairs", {**FRESH, "pairs": 8}, SGD, QUICK, only=MEMORY),
    Method(
        "the same, 1 pair, normalised", {**FRESH, "normalise": 1.0}, NLMS,
        (1e-3, 1e-2, 1e-1, 0.5), broadcast="2 scalars per projection",
    ),
    Method(
        "window 20, 16 pairs, Adam", WINDOW, (3e-4, 1e-3), (1e-4, 3e-4, 1e-3), only=MEMORY
    ),
    Method(
        "window 10, 4 pairs, Adam", {**WINDOW, **SHORT}, (3e-4, 1e-3), (1e-4, 3e-4),
        only=WEATHER[1:],
    ),
    Method("learned feedback", {"name": "LearnedFeedback"}, SGD, QUICK, broadcast=FB),
    Method(
        "learned feedback, Adam", {"name": "LearnedFeedback", "optimiser": "adam"}, ADAM,
        (1e-6, 1e-5, 1e-4, 1e-3), broadcast=FB,
    ),
    Method(
        "learned feedback, Eq. 6", {"name": "LearnedFeedback"}, SGD, QUICK, broadcast=FB,
        decorrelation=EQ6,
    ),
    Method("RFLO", {"name": "RFLO"}, SGD, QUICK, broadcast="n_out errors"),
    Method(
        "RFLO, tau 10", {"name": "RFLO"}, SGD, QUICK, broadcast="n_out errors",
        network={"tau": 10.0},
    ),
    # From a start that suits the task.
    Method("suited: readout", ANP, start="suited"),
    Method("suited: readout, Adam", {**ANP, "optimiser": "adam"}, ADAM, start="suited"),
    Method(
        "suited: readout, normalised", {**ANP, "normalise": 1.0}, NLMS, start="suited",
        broadcast="2 scalars",
    ),
    Method("suited: readout, Eq. 6", ANP, start="suited", decorrelation=EQ6),
    Method(
        "suited: ANP, normalised", {**ANP, "normalise": 1.0}, NLMS, (1e-3, 1e-2, 1e-1),
        start="suited", broadcast="2 scalars per projection",
    ),
    Method(
        "suited: learned feedback", FEEDBACK, FINE, FINE, start="suited",
        broadcast=FB,
    ),
    Method(
        "suited: learned feedback, one rate", FEEDBACK, FINE, joint=True,
        start="suited", broadcast=FB,
    ),
    Method(
        "suited: learned feedback, normalised", {**FEEDBACK, "normalise": 1.0},
        NLMS, (1e-3, 1e-2, 1e-1), start="suited", broadcast=FB,
    ),
    Method("suited: RFLO", {"name": "RFLO"}, FINE, QUICK, start="suited", broadcast="n_out errors"),
    Method(
        "suited: window 20, 4 pairs, Adam", {**WINDOW, "pairs": 4}, (3e-4, 1e-3), (1e-4, 3e-4),
        start="suited", only=MEMORY,
    ),
    # Not local, to compare with.
    Method(
        "bptt(k=1), Adam", {"name": "BPTT", "truncate": 1}, (3e-5, 1e-4, 3e-4, 1e-3), joint=True,
        local=False, broadcast="all",
    ),
    Method(
        "bptt(chunk 100), Adam", {"name": "BPTT", "chunk": 100}, (3e-4, 1e-3, 3e-3), joint=True,
        local=False, broadcast="all",
    ),
    Method(
        "suited: bptt(chunk 100), Adam", {"name": "BPTT", "chunk": 100}, (3e-4, 1e-3, 3e-3),
        joint=True, start="suited", local=False, broadcast="all",
    ),
]  # fmt: skip
