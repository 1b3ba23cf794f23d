"""A step as a list of phases, and where blocks have to wait for each other.

Between two phases a block's threads wait for each other; between two *stretches* all blocks do.
A block's work after the last wait of a step and before the first of the next is one stretch:
what it teaches itself needs nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurosim.engines.cuda.layout import FEW, SUMS, Layout, tile
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
    joined : bool
        Whether a thread goes on to the next work at once: because it only needs what the thread
        itself has done, or nothing of this one.
    """

    phase: Phase | None
    which: int = 0
    when: int = ALWAYS
    step: int = THIS
    resident: bool = False
    joined: bool = False


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
    def stretches(self) -> tuple[Stretch, ...]:
        """All stretches, in order."""
        return (self.first, *self.step, self.rest, self.last)

    @property
    def works(self) -> list[Work]:
        """All works, in order."""
        return [work for stretch in self.stretches for some in stretch for work in some.works]


class _Writer:
    """Writes stretches down."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.plan, self.network = layout, layout.plan, layout.plan.network
        self.phases = Phases(layout.plan, layout)
        self.order = [p.name for p in self.network.populations]
        self.d_matrices = {
            i: layout.names.index(p.decorrelation)
            for i, p in enumerate(self.network.populations)
            if p.decorrelation
        }
        self.teaches = self.plan.learns and self.plan.local
        self.taught = [
            i
            for i, p in enumerate(self.network.populations)
            if i and self.teaches and self.plan.learns_onto(p)
        ]
        self._stretch: list[Rounds] = []

    def add(
        self, phase: Phase | None, which: int = 0, when: int = ALWAYS, step: int = THIS
    ) -> None:
        """Add a work that concerns no weights, or those in everyone's memory."""
        self._stretch.append(Rounds((Work(phase, which, when, step),)))

    def on(self, phase: Phase, m: int, when: int = ALWAYS, step: int = THIS) -> None:
        """Add a work on a matrix, where its weights are."""
        work = Work(phase, m, when, step, m in self.layout.resident)
        self._stretch.append(Rounds((work,)))

    def rounds(
        self, phases: tuple[Phase, ...], which: int, times: int, when: int = ALWAYS, **more: bool
    ) -> None:
        """Add works that are done so many times."""
        works = [Work(phase, which, when, **more) for phase in phases]
        if times > 1:
            self.wait()
            self._stretch.append(Rounds(tuple(works), times))
        else:
            self._stretch += [Rounds((work,)) for work in works]

    def join(self) -> None:
        """Let a thread go on at once: what follows needs nothing that others did just now."""
        if not self._stretch or self._stretch[-1].times > 1:
            return
        some = self._stretch[-1]
        works = (*some.works[:-1], replace(some.works[-1], joined=True))
        self._stretch[-1] = Rounds(works)

    def done(self) -> Stretch:
        """End a stretch."""
        self.wait()
        stretch, self._stretch = tuple(self._stretch), []
        return stretch

    # ------------------------------------------------------------------- a step

    def program(self) -> Program:
        """Write down what a launch does."""
        last = len(self.order) - 1
        for m in self.layout.resident:
            self.on(self.phases.fetch, m)
            self.join()
        self.present(THIS)
        first = self.done()
        stretches: list[Stretch] = []
        unknown: set[str] = set()  # who sent something that others do not know of yet
        # Inputs are sent a step ahead, so that nobody has to wait for them.
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
            self.activate(p, alone)
            if population.decorrelation is not None:
                stretches.append(self.done())
                unknown = set()
                self.decorrelate(p)
            self.wait()
            if population.name in self.layout.alone_powers:
                self.add(self.phases.measure, p, LEARN)
                self.join()
            if population.name in self.layout.changed:
                self.add(self.phases.measure_activity, p, LEARN)
                self.join()
                self.add(self.phases.explain, p, LEARN)
            unknown.add(population.name)
        if not self.layout.everywhere(self.order[last]):
            stretches.append(self.done())
        self.teach(last)
        rest = self.done()
        for p in self.d_matrices:
            self.adapt_outlets(p, THIS)
        for m in self.layout.resident:
            self.on(self.phases.put_back, m)
            self.join()
        return Program(first, tuple(stretches), rest, self.done())

    def present(self, step: int) -> None:
        """Send the inputs of a step."""
        self.add(self.phases.present, 0, ALWAYS, step)
        if self.plan.averages:
            self.add(self.phases.average, 0, ALWAYS, step)
        self.join()

    def activate(self, p: int, alone: bool) -> None:
        """Neurons sum what arrives, and become active."""
        phases, population, chip = self.phases, self.network.populations[p], self.plan.chip
        noisy = self.plan.perturbs(population)
        self.add(phases.begin_sums if noisy else phases.begin_sums_alike, p)
        self.join()
        for m in self.layout.onto(population.name):
            if alone:
                self.reduce(self.layout.number("outputs", self.layout.names[m]))
            else:
                self.sum(m)
        given = self.plan.substrate
        if chip.mismatches or given.act_noise or given.act_telegraph or given.act_flicker:
            self.add(phases.disturb, p)
            self.join()
        if self.plan.options.resync_every:
            self.wait()
            self.add(phases.set_back, p)
        self.add(phases.fire(phases.model(p)), p)
        self.join()
        if chip.observes:
            self.add(phases.look, p)
            self.join()
        if population.decorrelation is None:
            self.send(phases.send_fired, p)

    def wait(self) -> None:
        """Let nobody go on at once."""
        if not self._stretch:
            return
        some = self._stretch[-1]
        works = (*some.works[:-1], replace(some.works[-1], joined=False))
        self._stretch[-1] = Rounds(works, some.times)

    def send(self, phase: Phase, p: int) -> None:
        """Neurons send what they have."""
        self.add(phase, p)
        if self.plan.averages:
            self.add(self.phases.average, p)

    def sum(self, m: int) -> None:
        """Sum what a matrix lets through; in tiles, or a neuron a thread."""
        if self.plan.chip.ages:
            self.wait()
            self.on(self.phases.grow_old, m)
        if self.layout.sums_alone(m):
            self.on(self.phases.deliver, m)
            self.join()
            return
        tiles = self.layout.most_chunks(self.layout.post(m)) * self.layout.lane_tiles(m)
        # What is in scratch belongs to whoever sums now.
        self.wait()
        near = m in self.layout.resident
        self.rounds(self.phases.multiply(m), m, -(-tiles // self.layout.tiles), resident=near)

    def decorrelate(self, p: int) -> None:
        """Change D by what was heard after the last step, then send through it."""
        m = self.d_matrices[p]
        if self.plan.decorrelation is not None:
            self.adapt_outlets(p, BEFORE)
        if self.plan.chip.ages:
            self.on(self.phases.grow_old, m)
        if self.plan.decorrelation is not None and m in self.layout.resident:
            # Who needs columns of it finds them in memory.
            self.on(self.phases.put_back, m, LISTEN)
            self.join()
        if self.layout.sums_alone(m):
            self.on(self.phases.deliver, m)
        else:
            tiles = self.layout.most_chunks(self.order[p]) * self.layout.lane_tiles(m)
            near = m in self.layout.resident
            self.rounds(self.phases.multiply(m), m, -(-tiles // self.layout.tiles), resident=near)
        self.send(self.phases.send, p)

    def adapt_outlets(self, p: int, step: int) -> None:
        """Change D."""
        if self.plan.decorrelation is None:
            return
        m = self.d_matrices[p]
        self.on(self.phases.absorb_outlets, m, LISTEN, step)
        if self.layout.through:
            self.on(self.phases.write, m, LISTEN, step)

    def contribute(self) -> None:
        """Chunks of neurons leave what everyone will sum."""
        self.wait()
        for m in self.layout.parts:
            if self.plan.chip.ages:
                self.on(self.phases.grow_old, m)
        for m in self.layout.parts:
            self.add(self.phases.contribute, m)
            self.join()
        for name in self.layout.powers:
            if name not in self.layout.alone_powers:
                self.add(self.phases.measure, self.order.index(name), LEARN)
                self.join()

    def reduce(self, z: int, when: int = ALWAYS) -> None:
        """Sum over chunks of neurons, for everyone the same."""
        times = -(-self.layout.reductions[z].entries // SUMS)
        self.rounds((self.phases.reduce, self.phases.conclude), z, times, when)

    # ------------------------------------------------------------------ lessons

    def teach(self, last: int) -> None:
        """Judge the outputs; form what is broadcast, and signals; change weights."""
        plan, phases = self.plan, self.phases
        wide = plan.options.reward_scope == "batch"
        self.wait()
        self.add(phases.report, last)
        self.join()
        self.add(phases.judge, last)
        if wide and self.layout.pairs:
            self.add(phases.share_differences)
        elif self.teaches:
            self.join()
        if self.teaches:
            self.lesson(last, wide)
        else:
            self.add(None)
        if plan.decorrelation is not None and phases.hears_back:
            for p, m in self.d_matrices.items():
                lanes = -(-plan.batch // tile(plan.batch))
                times = -(-self.layout.most_chunks(self.order[p]) * lanes // self.layout.tiles)
                self.rounds(phases.send_back(), m, times, LISTEN)

    def lesson(self, last: int, wide: bool) -> None:
        """What is broadcast, what neurons make of it, and what synapses do."""
        plan, phases, layout = self.plan, self.phases, self.layout
        if plan.feeds_back:
            self.add(phases.err, last, LEARN)
            for p in self.taught:
                self.add(phases.listen, p, LEARN)
                self.join()
        self.owe(wide)
        # Here a run ends whose numbers are not finite.
        self.wait()
        self.add(None)
        for p in self.taught:
            if plan.asks("neuron", "slope"):
                self.add(phases.slope(phases.model(p)), p, LEARN)
            self.add(phases.signal, p, LEARN)
            self.join()
        for population in plan.feedback.values() if plan.learns_feedback else ():
            p = self.order.index(population.name)
            self.wait()
            for kind in ("changed", "explained"):
                self.reduce(layout.number(kind, population.name), LEARN)
            self.add(phases.mend, p, LEARN)
        if layout.delay:
            self.wait()
            self.add(phases.exchange, 0, LEARN)
            self.join()
            for p in range(1, len(self.order)):
                self.add(phases.exchange_signals, p, LEARN)
                self.join()
            for m in range(len(self.network.projections)):
                self.add(phases.forget, m, LEARN)
                self.join()
            self.wait()
        for p in self.taught:
            self.add(phases.record, p, LESSON)
            self.join()
        self.wait()
        for m, projection in enumerate(self.network.projections):
            if plan.changes(projection):
                self.adapt(m)

    def owe(self, wide: bool) -> None:
        """Form what is broadcast, a comparison of a replica a thread."""
        plan, phases, layout = self.plan, self.phases, self.layout
        for name in layout.alone_powers:
            self.wait()
            self.reduce(layout.number("power", name), LEARN)
        self.add(phases.owe, 0, LEARN)
        self.join()
        if plan.chip.alters_rewards:
            self.add(phases.receive, 0, LEARN)
            self.join()
        for p in self.taught:
            if layout.everywhere(self.order[p]):
                self.add(phases.measure_alone, p, LEARN)
                self.join()
            if wide:
                self.wait()
                self.add(phases.share_powers, p, LEARN)
            self.add(phases.broadcast, p, LEARN)
            self.join()
        self.add(phases.settle, 0, LEARN)

    def adapt(self, m: int) -> None:
        """Change the weights of a projection."""
        plan, phases, layout = self.plan, self.phases, self.layout
        if plan.options.normalise is not None:
            self.wait()
            times = -(-plan.batch // SUMS)
            self.rounds((phases.square_seen, phases.divide_by), m, times, LESSON)
            self.add(phases.divide, m, LESSON)
        if layout.at_once:
            few = layout.perturbed(m) or layout.by_column(m) or layout.shape(m)[1] < FEW
            self.on(phases.absorb_few if few else phases.absorb, m, LESSON)
            self.join()
            return
        # All of these go through synapses in the same way.
        self.add(phases.accumulate, m, LESSON)
        self.join()
        self.add(phases.scale if plan.options.optimiser == "sgd" else phases.optimise, m, WRITE)
        self.join()
        self.on(phases.write, m, WRITE)
        self.join()


def program(layout: Layout) -> Program:
    """Write down what a launch does."""
    return _Writer(layout).program()


def without_waiting(given: Program) -> Program:
    """Let blocks never wait within a step: wrong, and to be found out."""
    joined = tuple(some for stretch in given.step for some in stretch)
    return replace(given, step=(joined,)) if given.step else given
