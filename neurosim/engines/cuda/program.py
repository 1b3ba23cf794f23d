"""A step as a list of phases, and where blocks have to wait for each other.

Between two phases a block's threads wait for each other; between two *stretches* all blocks do.
A block's work after the last wait of a step and before the first of the next is one stretch:
what it teaches itself needs nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurosim.engines.cuda.layout import FEW, SUMS, TILES, Layout, tile
from neurosim.engines.cuda.phases import Phase, Phases

# When a phase takes part: always; in steps that are learned from, in which a lesson arrives, in
# which weights change; in steps in which D learns.
ALWAYS, LEARN, LESSON, WRITE, LISTEN = range(5)
# Of which step: this one, the next, the one before.
THIS, NEXT, BEFORE = range(3)


@dataclass(frozen=True)
class Work:
    """A phase, and what it is about.

    Attributes
    ----------
    phase : Phase, optional
        None: where a number was not finite, the run ends here.
    which : int
        Number of a population, matrix or reduction.
    when, step : int
    resident : bool
        Whether the weights it works on are a block's own.
    """

    phase: Phase | None
    which: int = 0
    when: int = ALWAYS
    step: int = THIS
    resident: bool = False


@dataclass(frozen=True)
class Rounds:
    """Works that follow each other, so many times."""

    works: tuple[Work, ...]
    times: int = 1


Stretch = tuple[Rounds, ...]


@dataclass(frozen=True)
class Program:
    """What a launch does; all blocks wait for each other between stretches.

    Attributes
    ----------
    first : Stretch
        Before the first step.
    step : tuple of Stretch
        All blocks wait after each.
    rest : Stretch
        What is left of a step; nobody waits, the next step follows at once.
    last : Stretch
        After the last step.
    """

    first: Stretch
    step: tuple[Stretch, ...]
    rest: Stretch
    last: Stretch

    @property
    def works(self) -> list[Work]:
        """All works, in order."""
        stretches = (self.first, *self.step, self.rest, self.last)
        return [work for stretch in stretches for some in stretch for work in some.works]


class _Writer:
    """Writes stretches down."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.plan, self.network = layout, layout.plan, layout.plan.network
        self.phases = Phases(layout.plan, layout)
        self.order = [p.name for p in self.network.populations]
        self.d_matrices = [
            (i, layout.names.index(p.decorrelation))
            for i, p in enumerate(self.network.populations)
            if p.decorrelation
        ]
        self._stretch: list[Rounds] = []

    def add(
        self, phase: Phase | None, which: int = 0, when: int = ALWAYS, step: int = THIS
    ) -> None:
        self._stretch.append(Rounds((Work(phase, which, when, step),)))

    def on(self, phase: Phase, m: int, when: int = ALWAYS, step: int = THIS) -> None:
        """Work on a matrix, where its weights are."""
        work = Work(phase, m, when, step, m in self.layout.resident)
        self._stretch.append(Rounds((work,)))

    def rounds(self, phases: tuple[Phase, ...], which: int, times: int, when: int = ALWAYS) -> None:
        resident = which in self.layout.resident and phases[0].name.startswith("multiply")
        works = tuple(Work(phase, which, when, resident=resident) for phase in phases)
        self._stretch.append(Rounds(works, times))

    def done(self) -> Stretch:
        stretch, self._stretch = tuple(self._stretch), []
        return stretch

    # ------------------------------------------------------------------- a step

    def program(self) -> Program:
        last = len(self.order) - 1
        for m in self.layout.resident:
            self.on(self.phases.fetch, m)
        self.present(THIS)
        first = self.done()
        stretches: list[Stretch] = []
        unknown: set[str] = set()  # who sent something that others do not know of yet
        self.present(NEXT)
        for p, population in enumerate(self.network.populations[1:], start=1):
            alone = self.layout.everywhere(population.name)
            needs = {
                self.network.projections[q].pre
                for q in self.layout.onto(population.name)
                if self.network.projections[q].delay == 0
            }
            if alone:
                self.contribute()
            if alone or needs & unknown:
                stretches.append(self.done())
                unknown = set()
            self.activate(p)
            if population.decorrelation is not None:
                stretches.append(self.done())
                unknown = set()
                self.decorrelate(p)
            if not alone:
                self.measure(p)
                unknown.add(population.name)
        if not self.layout.everywhere(self.order[last]):
            stretches.append(self.done())
        else:
            self.measure(last)
        self.teach(last)
        rest = self.done()
        for p, m in self.d_matrices:
            self.adapt_outlets(p, m, THIS)
        for m in self.layout.resident:
            self.on(self.phases.put_back, m)
        return Program(first, tuple(stretches), rest, self.done())

    def present(self, step: int) -> None:
        """Inputs are sent a step ahead, so that nobody has to wait for them."""
        self.add(self.phases.present, 0, ALWAYS, step)
        self.add(self.phases.send, 0, ALWAYS, step)

    def activate(self, p: int) -> None:
        """Neurons sum what arrives, and become active."""
        phases, population, chip = self.phases, self.network.populations[p], self.plan.chip
        noisy = self.plan.perturbs(population)
        self.add(phases.begin_sums if noisy else phases.begin_sums_alike, p)
        alone = self.layout.everywhere(population.name)
        for m in self.layout.onto(population.name):
            if alone:
                z = self.layout.numbers["outputs", self.layout.names[m]]
                self.reduce(z)
            else:
                self.age(m)
                self.sum(m)
        given = self.plan.substrate
        if chip.mismatches or given.act_noise or given.act_telegraph or given.act_flicker:
            self.add(phases.disturb, p)
        if self.plan.options.resync_every:
            self.add(phases.set_back, p)
        self.add(phases.fire(phases.model(p)), p)
        if chip.observes:
            self.add(phases.look, p)
        if population.decorrelation is None:
            self.add(phases.pass_on, p)
            self.add(phases.send, p)

    def sum(self, m: int) -> None:
        """Sum what a matrix lets through."""
        if self.layout.sums_alone(m):
            self.on(self.phases.deliver, m)
            return
        tiles = self.layout.most_chunks(self.layout.post(m)) * self.layout.lane_tiles(m)
        times = -(-tiles // TILES)
        self.rounds(self.phases.multiply(m), m, times)

    def age(self, m: int) -> None:
        if self.plan.chip.ages:
            self.on(self.phases.grow_old, m)

    def decorrelate(self, p: int) -> None:
        """Change D by what was heard after the last step, then send through it."""
        m = dict(self.d_matrices)[p]
        self.adapt_outlets(p, m, BEFORE)
        self.age(m)
        self.show(m)
        self.add(self.phases.clear_sums, m)
        self.sum(m)
        self.add(self.phases.send, p)

    def adapt_outlets(self, p: int, m: int, step: int) -> None:
        if self.plan.decorrelation is None:
            return
        self.on(self.phases.absorb_outlets, m, LISTEN, step)
        if self.layout.through:
            self.on(self.phases.write, m, LISTEN, step)

    def show(self, m: int) -> None:
        """Who needs columns of a matrix finds them in memory."""
        if m in self.layout.resident and self.plan.decorrelation is not None:
            self.on(self.phases.put_back, m, LISTEN)

    def measure(self, p: int) -> None:
        """Leave parts of what everyone is told of a population."""
        population = self.network.populations[p]
        if not self.teaches:
            return
        self.add(self.phases.measure, p, LEARN)
        if ("changed", population.name) in self.layout.numbers:
            self.add(self.phases.measure_activity, p, LEARN)
            self.add(self.phases.explain, p, LEARN)

    @property
    def teaches(self) -> bool:
        return self.plan.learns and self.plan.local

    def contribute(self) -> None:
        """Chunks of neurons leave what they let through to the outputs."""
        for m in self.layout.parts:
            self.age(m)
            self.add(self.phases.contribute, m)

    def reduce(self, z: int, when: int = ALWAYS) -> None:
        times = -(-self.layout.reductions()[z][2] // SUMS)
        self.rounds((self.phases.reduce, self.phases.conclude), z, times, when)

    # ------------------------------------------------------------------ lessons

    def teach(self, last: int) -> None:
        """Judge the outputs; form what is broadcast, and signals; change weights."""
        plan, phases = self.plan, self.phases
        wide = plan.options.reward_scope == "batch"
        self.add(phases.report, last)
        self.add(phases.judge, last)
        if wide and self.layout.pairs:
            self.add(phases.share_differences)
        self.add(None)
        if self.teaches:
            self.lesson(last, wide)
        if plan.decorrelation is not None and phases.hears_back:
            for p, m in self.d_matrices:
                tiles = self.layout.most_chunks(self.order[p]) * -(-plan.batch // tile(plan.batch))
                times = -(-tiles // TILES)
                self.rounds(phases.send_back(), m, times, LISTEN)

    def lesson(self, last: int, wide: bool) -> None:
        plan, phases, numbers = self.plan, self.phases, self.layout.numbers
        taught = [
            p
            for p, population in enumerate(self.network.populations)
            if p and plan.learns_onto(population)
        ]
        if plan.feeds_back:
            self.add(phases.err, last, LEARN)
            for p in taught:
                self.add(phases.listen, p, LEARN)
        self.add(phases.owe, 0, LEARN)
        if plan.chip.alters_rewards:
            self.add(phases.receive, 0, LEARN)
        for p in taught:
            z = numbers["power", self.order[p]]
            self.reduce(z, LEARN)
            if wide:
                self.add(phases.share_powers, p, LEARN)
            self.add(phases.broadcast, p, LEARN)
        self.add(None)
        for p in taught:
            if plan.asks("neuron", "slope"):
                self.add(phases.slope(phases.model(p)), p, LEARN)
            self.add(phases.signal, p, LEARN)
        for population in plan.feedback.values() if plan.learns_feedback else ():
            p = self.order.index(population.name)
            for kind in ("changed", "explained"):
                self.reduce(numbers[kind, population.name], LEARN)
            self.add(phases.mend, p, LEARN)
        self.add(phases.settle, 0, LEARN)
        if self.layout.delay:
            self.add(phases.exchange, 0, LEARN)
            for p in range(1, len(self.order)):
                self.add(phases.exchange_signals, p, LEARN)
            for m in range(len(self.network.projections)):
                self.add(phases.forget, m, LEARN)
        for p in taught:
            self.add(phases.record, p, LESSON)
        for m, projection in enumerate(self.network.projections):
            if plan.rate(projection) > 0:
                self.adapt(m)

    def adapt(self, m: int) -> None:
        """Change the weights of a projection."""
        plan, phases, layout = self.plan, self.phases, self.layout
        if plan.options.normalise is not None:
            times = -(-plan.batch // SUMS)
            self.rounds((phases.square_seen, phases.divide_by), m, times, LESSON)
            self.add(phases.divide, m, LESSON)
        if layout.at_once:
            few = layout.perturbed(m) or layout.by_column(m) or layout.shape(m)[1] < FEW
            self.on(phases.absorb_few if few else phases.absorb, m, LESSON)
            return
        self.add(phases.accumulate, m, LESSON)
        if plan.options.optimiser == "sgd":
            self.add(phases.scale, m, WRITE)
        else:
            self.add(phases.optimise, m, WRITE)
        self.on(phases.write, m, WRITE)


def program(layout: Layout) -> Program:
    """Write down what a launch does."""
    return _Writer(layout).program()


def without_waiting(given: Program) -> Program:
    """Let blocks never wait within a step: wrong, and to be found out."""
    joined = tuple(some for stretch in given.step for some in stretch)
    return replace(given, step=(joined,)) if given.step else given
