"""Where everything lies, and the tables that say so: of one network, for so many blocks.

All that changes lies in one array. Each population has one matrix in it, a row for every quantity
and lane, a column for every neuron; all populations have the same rows. Outputs that nobody
listens to are worked out by every block for itself, each with its own copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.cuda import at
from neurosim.engines.cuda.language import CHUNK
from neurosim.engines.plan import Plan
from neurosim.errors import InputError
from neurosim.substrate.record import ROUNDINGS

LINE = 32  # numbers in a cache line
ENTRIES = 2**32  # what an unsigned number of 32 bits can count
FEW = 64  # columns: of matrices with fewer a thread sums all of them
TILES = 16  # that a block sums at a time, at most
ROOM = 10_240  # numbers that their slices may take: a small GPU has little memory for a block
SUMS = 64  # sums of parts at a time


@dataclass(frozen=True)
class Launch:
    """How a network is spread over a device: so many blocks, of so many threads.

    `weights` is how many numbers of four bytes a block can keep to itself, beside its scratch.
    """

    blocks: int
    threads: int = 256
    weights: int = 0


@dataclass(frozen=True)
class Reduction:
    """Sums over chunks of neurons: each chunk leaves a part of every one of them.

    Attributes
    ----------
    kind, name : str
        What is summed, and of which population or matrix.
    start, count, entries : int
        Where the parts lie, how many there are of each sum, and how many sums.
    outputs : int
        How many of these are outputs'; all others go to a `place` on the desk.
    """

    kind: str
    name: str
    start: int
    count: int
    entries: int
    outputs: int
    place: int

    def entries_of(self) -> list[int]:
        """What the table says of it."""
        return [self.start, self.count, self.entries, self.outputs, self.place]


NONE = Reduction("", "", 0, 0, 0, 0, 0)


@dataclass
class Layout:
    """The tables of a plan, and where in memory its parts lie.

    Attributes
    ----------
    rows : dict of str to int
        First row of a quantity in a population's matrix.
    homes, strides : dict of str to int
        Of populations: where that matrix begins, and how long its rows are.
    matrices : dict of str to tuple of int
        Where weights begin, and how long their rows are.
    resident : tuple of int
        Matrices of which blocks keep their rows to themselves.
    """

    plan: Plan
    launch: Launch
    table: NDArray[np.uint32] = field(init=False)
    values: NDArray[np.float32] = field(init=False)
    size: int = field(init=False, default=0)
    rows: dict[str, int] = field(init=False, default_factory=dict)
    n_rows: int = field(init=False, default=0)
    homes: dict[str, int] = field(init=False, default_factory=dict)
    strides: dict[str, int] = field(init=False, default_factory=dict)
    matrices: dict[str, tuple[int, int]] = field(init=False, default_factory=dict)
    resident: tuple[int, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        plan = self.plan
        self.names = list(plan.network.matrices)
        self.pairs = len(plan.comparisons) * plan.batch
        self.slices = 32 if plan.lanes >= 10 else 128
        self.alone = self._alone()
        self._lay_rows()
        self._lay_populations()
        self._lay_matrices()
        self._choose_resident()
        if self.size >= ENTRIES:
            raise InputError(
                f"Simulator: engines 'cuda' and 'emulator' count what they keep with 32 bits, and "
                f"this network needs {self.size:,} numbers; allowed are fewer than {ENTRIES:,}"
            )
        self._write_values()
        self._write_table()

    # --------------------------------------------------------------- properties

    def _alone(self) -> bool:
        """Whether every block can work out the outputs for itself."""
        plan, network = self.plan, self.plan.network
        heard = any(p.pre == network.outputs.name for p in network.projections)
        clean = not (plan.chip.loses or self.reads_noisily(self.onto(network.outputs.name)))
        return not heard and network.outputs.decorrelation is None and clean

    def onto(self, population: str) -> list[int]:
        """Projections onto a population, by number."""
        projections = self.plan.network.projections
        return [q for q, projection in enumerate(projections) if projection.post == population]

    def reads_noisily(self, matrices: list[int]) -> bool:
        """Whether weights of some matrices are noisy when they are read."""
        chip, given = self.plan.chip, self.plan.substrate
        noisy = any(chip.devices[self.names[m]].read_noise > 0 for m in matrices)
        return noisy or (given.w_read_relative > 0 and bool(matrices))

    def sums_alone(self, m: int) -> bool:
        """Whether a thread sums all columns of a row: see `on_sums.deliver`."""
        loses = self.plan.chip.loses and m < len(self.plan.network.projections)
        return self.shape(m)[1] < FEW or self.reads_noisily([m]) or loses

    def shape(self, m: int) -> tuple[int, int]:
        """Rows and columns of a matrix."""
        return self.plan.network.shape(self.names[m])

    def by_column(self, m: int) -> bool:
        """Whether outputs sum a matrix in parts, chunk by chunk of what they hear."""
        network = self.plan.network
        if m >= len(network.projections) or not self.alone:
            return False
        return network.projections[m].post == network.outputs.name

    def perturbed(self, m: int) -> bool:
        """Whether there is noise on a matrix's weights."""
        projections = self.plan.network.projections
        return m < len(projections) and self.plan.perturbs(projections[m])

    def lane_tile(self, m: int) -> int:
        """Lanes of a tile: as many as fit, and as few as possible of them empty."""
        lanes = self.plan.batch if self.perturbed(m) else self.plan.lanes
        return tile(lanes)

    def lane_tiles(self, m: int) -> int:
        """Tiles that a chunk's lanes make; where weights have noise, each is of one pass."""
        if self.perturbed(m):
            return self.plan.passes * -(-self.plan.batch // self.lane_tile(m))
        return -(-self.plan.lanes // self.lane_tile(m))

    @property
    def through(self) -> bool:
        """Whether devices stand between a change and its weight."""
        return self.plan.chip.programs or self.plan.chip.drifts

    @property
    def asks(self) -> bool:
        """Whether neurons hear errors, or find slopes."""
        plan = self.plan
        return plan.feeds_back or plan.traces or plan.asks("neuron", "slope")

    @property
    def scratch(self) -> int:
        """Numbers that a block needs for sums that are not yet complete."""
        return max(self.tiles * self._tile_sums, SUMS) * (self.slices + 1)

    @property
    def tiles(self) -> int:
        """Tiles that a block sums at a time."""
        return max(1, min(TILES, ROOM // (self._tile_sums * (self.slices + 1))))

    @property
    def _tile_sums(self) -> int:
        """Sums of the largest tile."""
        lanes = [self.lane_tile(m) for m in range(len(self.names))]
        return CHUNK * max([*lanes, tile(self.plan.batch)])

    def chunks(self, population: str) -> int:
        """Chunks that a population's neurons make."""
        return -(-self.plan.network.population(population).size // CHUNK)

    def most_chunks(self, population: str) -> int:
        """Most of them that a block has."""
        if self.alone and population == self.plan.network.outputs.name:
            return self.chunks(population)
        return -(-self.chunks(population) // self.launch.blocks)

    # -------------------------------------------------------------------- memory

    def _take(self, n: int) -> int:
        """Lay so many numbers behind what there is."""
        start = self.size
        self.size = start + -(-n // LINE) * LINE
        return start

    def _lay_rows(self) -> None:
        plan, lanes, batch = self.plan, self.plan.lanes, self.plan.batch
        chip, learns = plan.chip, plan.learns and plan.local
        slots, seen_slots = plan.sent + 2, plan.remembered + 2
        wide = lanes + batch * plan.averages
        normalised = 1 if plan.options.normalise is None else 1 + len(plan.network.projections)
        delay = plan.substrate.reward_delay if plan.compares else 0
        decorrelates = any(p.decorrelation for p in plan.network.populations)
        self.slots, self.seen_slots, self.wide, self.delay = slots, seen_slots, wide, delay
        counts = {
            "a": lanes,
            "x": lanes,
            "s": lanes,
            "sent": slots * lanes,
            "seen": seen_slots * wide if plan.shows else 0,
            "noise": self.pairs * plan.sides,
            "signal": normalised * self.pairs,
            "gain": 1,
            "offset": 1,
            "leak": 1,
            "keep": 1,
            "telegraph": lanes if plan.substrate.act_telegraph > 0 else 0,
            "a_read": lanes if chip.observes else 0,
            "x_read": lanes if chip.observes else 0,
            "heard": batch if decorrelates else 0,
            "slope": batch if self.asks and learns else 0,
            "feedback": batch if self.asks and learns else 0,
            "late": delay * self.pairs,
            "guesses": plan.network.outputs.size if plan.feeds_back else 0,
        }
        for name, count in counts.items():
            self.rows[name] = self.n_rows
            self.n_rows += count
        if not plan.shows:
            self.rows["seen"], self.seen_slots = self.rows["sent"], slots
        if not chip.observes:
            self.rows |= {"a_read": self.rows["a"], "x_read": self.rows["x"]}

    def _lay_populations(self) -> None:
        network = self.plan.network
        for p in network.populations:
            self.strides[p.name] = -(-p.size // LINE) * LINE
            copies = self.launch.blocks if self.everywhere(p.name) else 1
            self.homes[p.name] = self._take(copies * self.n_rows * self.strides[p.name])

    def everywhere(self, population: str) -> bool:
        """Whether every block works out all of a population for itself."""
        return self.alone and population == self.plan.network.outputs.name

    def _lay_matrices(self) -> None:
        self.synapses = 0  # of all matrices, padding included
        self.beginning: list[int] = []
        for m, name in enumerate(self.names):
            n_post, n_pre = self.shape(m)
            stride = -(-n_pre // CHUNK) * CHUNK
            self.beginning.append(self.synapses)
            self.matrices[name] = (0, stride)
            self.synapses += -(-n_post // CHUNK) * CHUNK * stride
            if m + 1 == len(self.plan.network.projections):
                self.projected = self.synapses
        if not self.plan.network.projections:
            self.projected = 0
        weights = self._take(self.synapses)
        for m, name in enumerate(self.names):
            self.matrices[name] = (weights + self.beginning[m], self.matrices[name][1])
        plan, chip = self.plan, self.plan.chip
        learns = plan.learns and plan.local
        sums = learns and not self.at_once
        devices, remembers = chip.programs or chip.ages, learns and plan.options.optimiser != "sgd"
        self.traces = self.projected if learns and plan.waits else 0
        wanted = self.synapses if self.through else self.projected if sums else 0
        self.arrays = {
            "eligibility": self._take(self.pairs * self.traces),
            "owed": self._take(self.projected if learns and plan.gathers else 0),
            "first": self._take(self.projected if remembers else 0),
            "second": self._take(self.projected if remembers else 0),
            "wanted": self._take(wanted),
            "response": self._take(self.synapses if devices else 0),
            "stuck": self._take(self.synapses if devices else 0),
            "nu": self._take(self.synapses if chip.ages else 0),
            "age": self._take(self.synapses if chip.ages else 0),
        }
        self._lay_desks()
        self._lay_parts()

    @property
    def at_once(self) -> bool:
        """Whether changes can go to the weights as soon as they are known."""
        plan = self.plan
        plain = plan.options.optimiser == "sgd" and not plan.waits and not plan.gathers
        return plain and not self.through and not plan.chip.loses

    def _lay_parts(self) -> None:
        """Lay what chunks of neurons leave to be summed by everyone, of two steps in turn.

        A chunk's parts of the outputs and of its population's power lie together.
        """
        plan, network = self.plan, self.plan.network
        self.reductions: list[Reduction] = []
        teaches = plan.learns and plan.local
        taught = [p for p in network.populations[1:] if teaches and plan.learns_onto(p)]
        powers = [p.name for p in taught if not self.everywhere(p.name)]
        order = [p.name for p in network.populations]

        def add(kind: str, name: str, of: str, outputs: int, others: int, to: str) -> Reduction:
            start, n = self.size, self.chunks(of)
            self._take(2 * n * (outputs + others))
            place = self.desk[to] + order.index(of) * others
            found = Reduction(kind, name, start, n, outputs + others, outputs, place)
            self.reductions.append(found)
            return found

        self.parts: dict[int, Reduction] = {}
        self.powers: dict[str, Reduction] = {}
        for m, projection in enumerate(network.projections):
            if self.by_column(m):
                too = projection.pre in powers and projection.pre not in self.powers
                some = network.outputs.size * plan.lanes, self.pairs * too
                name, pre = projection.name, projection.pre
                self.parts[m] = add("outputs", name, pre, *some, "power")
                if too:
                    self.powers[pre] = self.parts[m]
        self.alone_powers = [name for name in powers if name not in self.powers]
        for name in self.alone_powers:
            self.powers[name] = add("power", name, name, 0, self.pairs, "power")
        self.changed: dict[str, Reduction] = {}
        self.explained: dict[str, Reduction] = {}
        for p in plan.feedback.values() if plan.learns_feedback and teaches else ():
            n = self.pairs * network.outputs.size
            self.changed[p.name] = add("changed", p.name, p.name, 0, self.pairs, "changed")
            self.explained[p.name] = add("explained", p.name, p.name, 0, n, "explained")

    def number(self, kind: str, name: str) -> int:
        """Number of a reduction."""
        found = [(reduction.kind, reduction.name) for reduction in self.reductions]
        return found.index((kind, name))

    def _lay_desks(self) -> None:
        plan, n = self.plan, len(self.plan.network.populations)
        pairs, outputs, delay = self.pairs, plan.network.outputs.size, self.delay
        altered = plan.chip.alters_rewards
        counts = {
            "difference": pairs,
            "received": pairs if altered else 0,
            "owed": pairs,
            "owed_received": pairs if altered else 0,
            "line": 2 * pairs,
            "power": n * pairs,
            "forming": n * pairs,
            "credited": n * pairs,
            "errors": plan.batch * outputs if plan.feeds_back else 0,
            "late_forming": delay * n * pairs,
            "late_credited": delay * n * pairs,
            "divisor": len(plan.network.projections) * plan.batch,
            "changed": n * pairs if plan.learns_feedback else 0,
            "explained": n * pairs * outputs if plan.learns_feedback else 0,
            "failed": 3,
        }
        self.desk: dict[str, int] = {}
        size = 0
        for name, count in counts.items():
            self.desk[name] = size
            size += count
        if not altered:
            self.desk["received"] = self.desk["difference"]
            self.desk["owed_received"] = self.desk["owed"]
        self.desk_size = -(-size // LINE) * LINE
        self.desks = self._take(self.launch.blocks * self.desk_size)

    def _choose_resident(self) -> None:
        """Let blocks keep their rows of as many matrices as fit, those with most columns first."""
        self.local: dict[int, int] = {}
        free = 0
        order = sorted(range(len(self.names)), key=lambda m: -self.shape(m)[1])
        for m in order:
            stride = self.matrices[self.names[m]][1]
            need = self.most_chunks(self.post(m)) * CHUNK * stride
            alone = self.shape(m)[1] < FEW or self.by_column(m)
            if not alone and free + need <= self.launch.weights:
                self.local[m] = free
                free += need
        self.resident = tuple(sorted(self.local))
        self.resident_size = free

    def post(self, m: int) -> str:
        """Population that a matrix ends on."""
        network = self.plan.network
        if m < len(network.projections):
            return network.projections[m].post
        return self._decorrelated(m)

    def _decorrelated(self, m: int) -> str:
        name = self.names[m]
        return next(p.name for p in self.plan.network.populations if p.decorrelation == name)

    # -------------------------------------------------------------------- tables

    def _write_values(self) -> None:
        plan, chip, given, options = (
            self.plan,
            self.plan.chip,
            self.plan.substrate,
            self.plan.options,
        )
        beta1, beta2 = float(options.beta1), float(options.beta2)
        numbers = {
            at.NOISE_STD: options.noise_std,
            at.NOISE_GAIN: plan.noise_gain,
            at.VARIANCE: plan.variance,
            at.DECAY: options.trace_decay,
            at.NORMALISE: options.normalise or 0.0,
            at.BETA1: beta1,
            at.FRESH1: 1.0 - beta1,
            at.BETA2: beta2,
            at.FRESH2: 1.0 - beta2,
            at.EPSILON: options.epsilon,
            at.FEEDBACK_RATE: plan.rule.feedback_rate if plan.learns_feedback else 0.0,
            at.GAINS_AND_OFFSETS: chip.mismatches,
            at.ACT_NOISE: given.act_noise,
            at.TELEGRAPH: given.act_telegraph,
            at.SWITCHES: chip.switches,
            at.FLICKER: given.act_flicker,
            at.READ_NOISE: given.act_read_noise,
            at.READ_LIMIT: chip.read_limit,
            at.READ_SPACING: chip.read_spacing,
            at.EVENT_LIMIT: chip.event_limit,
            at.EVENT_SPACING: chip.event_spacing,
            at.EVENT_LOSS: given.event_loss,
            at.EVENT_JITTER: given.event_jitter,
            at.READ_RELATIVE: given.w_read_relative,
            at.ASYMMETRY: given.asymmetry,
            at.D2D: given.d2d,
            at.C2C: given.c2c,
            at.SOFTNESS: given.soft_bounds,
            at.KEEP: chip.keep,
            at.REWARD_NOISE: given.reward_noise,
            at.REWARD_LIMIT: chip.reward_limit,
            at.REWARD_SPACING: chip.reward_spacing,
            at.REWARD_LOSS: given.reward_loss,
        }
        signs = [plan.injected(pass_)[1] for pass_ in range(plan.passes)]
        found = [float(numbers[k]) for k in range(at.N_VALUES)] + signs
        self.population_values = len(found)
        for i, p in enumerate(plan.network.populations):
            found += [plan.factor(p) if i else 1.0, float(p.size)]
        self.matrix_values = len(found)
        for m, name in enumerate(self.names):
            found += self._matrix_values(m, name)
        self.values = np.array(found, dtype=np.float32)

    def _matrix_values(self, m: int, name: str) -> list[float]:
        plan, device, projections = (
            self.plan,
            self.plan.chip.devices[name],
            self.plan.network.projections,
        )
        scale = 1.0
        if m < len(projections):
            lessons = len(plan.lessons(plan.network.population(projections[m].post)))
            scale = 1.0 / max(1, lessons * plan.batch)
        numbers = {
            at.SCALE: scale,
            at.SMALLEST: device.smallest,
            at.FULL_SCALE: device.full_scale,
            at.WRITE_NOISE: device.write_noise,
            at.LIMIT: device.limit,
            at.SPACING: device.spacing,
            at.DIFFUSION: device.diffusion,
            at.W_READ_NOISE: device.read_noise,
        }
        return [float(numbers[k]) for k in range(at.PER_MATRIX_VALUES)]

    def _write_table(self) -> None:
        plan, chip, network = self.plan, self.plan.chip, self.plan.network
        comparisons = plan.comparisons
        shown = (2 if plan.both and plan.compares else 1) * plan.batch
        start = at.OUTPUTS + 1
        passes, pairs = start, start + plan.passes
        populations = pairs + 2 * len(comparisons)
        matrices = populations + len(network.populations) * at.PER_POPULATION
        sums = matrices + len(self.names) * at.PER_MATRIX
        entries = {
            at.BATCH: plan.batch,
            at.PASSES: plan.passes,
            at.LANES: plan.lanes,
            at.PAIRS: self.pairs,
            at.COMPARISONS: len(comparisons),
            at.SIDES: plan.sides,
            at.N_POPULATIONS: len(network.populations),
            at.N_PROJECTIONS: len(network.projections),
            at.DISTRIBUTION: plan.distribution,
            at.RESYNC: plan.options.resync_every or 0,
            at.ONLINE: plan.options.schedule == "online",
            at.BATCH_WIDE: plan.options.reward_scope == "batch",
            at.MEASURES_POWER: plan.measures_power,
            at.OBSERVES: chip.observes,
            at.BOTH: plan.both and plan.compares,
            at.AVERAGES: plan.averages,
            at.SHOWN: shown,
            at.PRE_LANE: plan.lanes if plan.averages else 0,
            at.WIDE: self.wide if plan.shows else plan.lanes,
            at.SLOTS: self.slots,
            at.SEEN_SLOTS: self.seen_slots,
            at.LESSON_SLOTS: self.delay,
            at.HEARS: self.asks and plan.learns and plan.local,
            at.TRACES: plan.traces,
            at.THROUGH: self.through,
            at.ROUNDING: ROUNDINGS.index(plan.substrate.rounding),
            at.AGES: chip.ages,
            at.PASS_TABLE: passes,
            at.COMPARISON_TABLE: pairs,
            at.DESK: self.desks,
            at.DESK_SIZE: self.desk_size,
            **{getattr(at, f"ROW_{_ROWS.get(n, n).upper()}"): row for n, row in self.rows.items()},
            **{getattr(at, f"DESK_{name.upper()}"): place for name, place in self.desk.items()},
            at.ELIGIBILITY: self.arrays["eligibility"],
            at.TRACE_SIZE: self.traces,
            at.OWED: self.arrays["owed"],
            at.FIRST_MEMORY: self.arrays["first"],
            at.SECOND_MEMORY: self.arrays["second"],
            at.WANTED: self.arrays["wanted"],
            at.RESPONSE: self.arrays["response"],
            at.STUCK: self.arrays["stuck"],
            at.DRIFT: self.arrays["nu"],
            at.AGE: self.arrays["age"],
            at.SLICES: self.slices,
            at.TILES: self.tiles,
            at.SUMS: SUMS,
            at.POPULATIONS: populations,
            at.MATRICES: matrices,
            at.REDUCTIONS: sums,
            at.OUTPUTS: network.outputs.size,
        }
        table = [int(entries[k]) for k in range(start)]
        table += [plan.injected(pass_)[0] + 1 for pass_ in range(plan.passes)]
        table += [value for c in comparisons for value in (c.reference, c.perturbed)]
        for i, p in enumerate(network.populations):
            table += self._population_entries(i, p)
        for m, name in enumerate(self.names):
            table += self._matrix_entries(m, name)
        for reduction in self.reductions:
            table += reduction.entries_of()
        self.table = np.array(table, dtype=np.uint32)

    def _population_entries(self, i: int, p: Any) -> list[int]:
        plan, lessons = self.plan, self.plan.lessons(p)
        copy = self.n_rows * self.strides[p.name] if self.everywhere(p.name) else 0
        power = self.powers.get(p.name, NONE)
        entries = {
            at.SIZE: p.size,
            at.CHUNKS: self.chunks(p.name),
            at.STRIDE: self.strides[p.name],
            at.HOME: self.homes[p.name],
            at.COPY: copy,
            at.EVERYWHERE: self.everywhere(p.name),
            at.CREDIT: plan.credit(p) if i else 0,
            at.FIRST_LESSON: lessons.start,
            at.LESSONS: len(lessons),
            at.LEARNS: i > 0 and plan.learns_onto(p),
            at.HAS_GUESSES: p in plan.feedback.values(),
            at.COARSE: plan.chip.coarse and plan.chip.sends(p.name),
            at.STREAM_NOISE: plan.stream(noise.PERTURBATION, p.name),
            at.STREAM_ACT: plan.stream(noise.ACT_NOISE, p.name),
            at.STREAM_TELEGRAPH: plan.stream(noise.TELEGRAPH, p.name),
            at.STREAM_FLICKER: plan.stream(noise.FLICKER, p.name),
            at.STREAM_ACT_READ: plan.stream(noise.ACT_READ, p.name),
            at.STREAM_FIRED_READ: plan.stream(noise.FIRED_READ, p.name),
            at.STREAM_SENT_READ: plan.stream(noise.SENT_READ, p.name),
            at.POWER_PARTS: power.start + power.outputs,
            at.POWER_APART: power.entries,
            at.CHANGED_PARTS: self.changed.get(p.name, NONE).start,
            at.EXPLAINED_PARTS: self.explained.get(p.name, NONE).start,
        }
        return [int(entries[k]) for k in range(at.PER_POPULATION)]

    def _matrix_entries(self, m: int, name: str) -> list[int]:
        plan, network = self.plan, self.plan.network
        order = [p.name for p in network.populations]
        n_post, n_pre = self.shape(m)
        projection = network.projections[m] if m < len(network.projections) else None
        pre, post = (projection.pre, projection.post) if projection else (self.post(m),) * 2
        normalised = plan.options.normalise is not None and projection is not None
        entries = {
            at.PRE: order.index(pre),
            at.POST: order.index(post),
            at.DELAY: projection.delay if projection else 0,
            at.ROWS: n_post,
            at.COLUMNS: n_pre,
            at.ROW_STRIDE: self.matrices[name][1],
            at.GLOBAL: self.matrices[name][0],
            at.BEGINNING: self.beginning[m],
            at.LOCAL: self.local.get(m, 0),
            at.RESIDENT: m in self.resident,
            at.BY_COLUMN: self.by_column(m),
            at.SOURCE: self.rows["x"],
            at.TARGET: self.rows["a" if projection else "s"],
            at.RECURRENT: projection is not None,
            at.LOSES: plan.chip.loses and projection is not None,
            at.PERTURBED: self.perturbed(m),
            at.STREAM_WEIGHTS: self._stream(noise.WEIGHT_PERTURBATION, name, projection),
            at.STREAM_READ: plan.stream(noise.W_READ, name),
            at.STREAM_RELATIVE: plan.stream(noise.W_READ_RELATIVE, name),
            at.STREAM_PULSES: plan.stream(noise.PULSES, name),
            at.STREAM_C2C: plan.stream(noise.C2C, name),
            at.STREAM_WRITE: plan.stream(noise.W_WRITE, name),
            at.STREAM_ROUNDING: plan.stream(noise.ROUNDING, name),
            at.STREAM_DIFFUSION: plan.stream(noise.DIFFUSION, name),
            at.STREAM_LOSS: plan.stream(noise.EVENT_LOSS, name),
            at.STREAM_JITTER: plan.stream(noise.EVENT_JITTER, name),
            at.PARTS: self.parts.get(m, NONE).start,
            at.PARTS_APART: self.parts.get(m, NONE).entries,
            at.LANE_TILES: self.lane_tiles(m),
            at.SIGNALS: self.rows["signal"] + (1 + m) * self.pairs * normalised,
            at.CREDIT_OF: plan.credit(network.population(post)) if projection else 0,
            at.DECORRELATES: projection is None,
        }
        return [int(entries[k]) for k in range(at.PER_MATRIX)]

    def _stream(self, use: int, name: str, projection: Any) -> int:
        return self.plan.stream(use, name) if projection else 0


_ROWS = {"a_read": "read_a", "x_read": "read_x"}


def tile(lanes: int) -> int:
    """Lanes of a tile, 5 at most: so that least is loaded and multiplied, empty lanes included."""
    return min(range(5, 0, -1), key=lambda k: -(-lanes // k) * (CHUNK + (1 + CHUNK) * k))
