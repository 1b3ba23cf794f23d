"""A config says all, or is refused in words that help."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

import neurosim as ns
from neurosim.experiments import load, registry
from neurosim.experiments import reproduce as figures
from neurosim.experiments.config import parse
from neurosim.experiments.settings import override

ALL = sorted(registry.configs())


def test_there_are_configs():
    assert "quickstart" in ALL
    assert len([name for name in ALL if name.startswith("paper/")]) == 5 * 8 + 1
    assert len([name for name in ALL if name.startswith("bptt/")]) == 5
    assert len([name for name in ALL if name.startswith("best/")]) == 6


@pytest.mark.parametrize("name", ALL)
def test_every_config_loads_and_says_the_same_when_written_out(name):
    config = load(name)
    resolved = config.resolved()
    again = parse(tomllib.loads(tomli_w.dumps(resolved)), config.name, "again")
    assert again.resolved() == resolved
    assert again.digest == config.digest
    assert not again.differences(config)


@pytest.mark.parametrize(
    "name", ["quickstart", "paper/mackey_glass_danp", "paper/copying_wp", "best/mackey_glass"]
)
def test_a_config_builds_its_simulator(name, monkeypatch):
    monkeypatch.delenv("NEUROSIM_DATA", raising=False)
    config = load(name, ["task.steps=30"] if "mackey" in name else [])
    sim = config.simulator()
    assert sim.batch == config.training.batch
    assert sim.network.inputs.size == config.task.n_inputs
    assert sim.rule == config.rule
    has_d = "D" in sim.network.matrices
    assert has_d == (config.decorrelation is not None)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("paper/")])
def test_paper_configs_have_the_sizes_of_table_1(name):
    config = load(name)
    copying = "copying" in name
    assert config.network.hidden == (500 if copying else 1000)
    assert config.training.batch == (1 if copying else 10)
    assert config.training.epochs == 500
    kind = name.rsplit("_", 1)[1].upper()
    assert (config.decorrelation is not None) == kind.startswith("D")
    if kind == "RFLO":
        assert (config.rule, config.network.tau) == (ns.RFLO(1e-5), 10.0)
        return
    if kind.removeprefix("D") == "BP":
        assert config.rule == ns.BPTT(config.rule.learning_rate, truncate=1)
        return
    assert config.rule.scale == "published"
    assert type(config.rule).__name__ == kind.removeprefix("D")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("rule.learnin_rate=1", r"\[rule\] learnin_rate = 1: no such key.*'learning_rate'"),
        ("training.epoch=3", r"\[training\] epoch = 3: no such key.*'epochs'"),
        ("task.horizn=3", r"\[task\] horizn = 3: no such key.*'horizon'"),
        ("task.length=4", r"\[task\] length = 4: no such key.*belongs to task 'copying'"),
        ("network.hiden=3", r"\[network\] hiden = 3: no such key.*'hidden'"),
        ("substrate.act_nois=1", r"\[substrate\] act_nois = 1: no such key.*'act_noise'"),
        ("decorrelation.rate=1", r"\[decorrelation\] rate = 1: no such key.*'learning_rate'"),
        ("netwrk.hidden=3", r"\[netwrk\]: no such table.*'network'"),
        ("training.batch=0", r"\[training\] batch = 0"),
        ("training.epochs=-1", r"\[training\] epochs = -1"),
        ('training.batch="a"', r"\[training\] batch = 'a'"),
        ("training.epochs=1.5", r"\[training\] epochs = 1.5"),
        ("training.seed=-1", r"\[training\] seed = -1"),
        ("training.engine=cup", r"engine = 'cup'.*'cpu'"),
        ("network.hidden=0", r"\[network\] hidden = 0"),
        ("network.tau=0.5", r"\[network\] tau = 0.5"),
        ("network.gain=nan", r"\[network\] gain = nan"),
        ("network.neuron=Tan", r"\[network\] neuron 'Tan'.*'Tanh'"),
        ("network.decorrelate=false", r"\[network\] decorrelate"),
        ("baselines.enabled=1", r"\[baselines\] enabled = 1"),
        ("task.batch=3", r"\[task\] batch = 3: must be that of \[training\], 2"),
        ("task.name=mackey_gass", r"'mackey_gass'.*'mackey_glass'"),
        ("task.steps=-5", r"\[task\] MackeyGlass: steps = -5"),
        ("task.name=3", r"\[task\] name: 3 must be text"),
        ("rule.name=ANPP", r"rule 'ANPP'.*'ANP'"),
        ("rule.name=nowhere:Rule", r"rule 'nowhere:Rule' cannot be imported"),
        ("rule.learning_rate=-1", r"\[rule\] ANP: learning_rate = -1"),
        ('rule.learning_rate="fast"', r"\[rule\] ANP: learning_rate = 'fast'"),
        ("rule.noise_std=0", r"\[rule\] ANP: noise_std = 0"),
        ("rule.reward=lokal", r"\[rule\] ANP: reward = 'lokal'"),
        ("decorrelation.learning_rate=0", r"\[decorrelation\] Decorrelation: learning_rate = 0"),
        ("substrate.act_noise=-1", r"\[substrate\] Substrate: act_noise = -1"),
        ("rule", r"--set rule: must be table.key=value"),
        ("rule=3", r"--set rule=3: must be table.key=value"),
    ],
)
def test_what_is_wrong_is_named(tiny, override, says):
    with pytest.raises(ns.InputError, match=says):
        tiny(override)


def test_all_problems_are_told_at_once(tiny):
    with pytest.raises(ns.InputError) as caught:
        tiny("training.epochs=0", "rule.lr=3", "network.hiden=3")
    assert len(str(caught.value).splitlines()) == 1 + 3
    assert "tiny.toml" in str(caught.value)


@pytest.mark.parametrize(("table", "key"), [("task", "name"), ("rule", "name")])
def test_what_is_missing_is_named(tiny_file, table, key):
    tables = tomllib.loads(tiny_file.read_text())
    del tables[table][key]
    tiny_file.write_text(tomli_w.dumps(tables))
    with pytest.raises(ns.InputError, match=rf"\[{table}\] {key}: missing; known: "):
        load(tiny_file)


def test_a_missing_learning_rate_is_named(tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("learning_rate = 1e-3", ""))
    with pytest.raises(ns.InputError, match=r"\[rule\] learning_rate: missing"):
        load(tiny_file)


@pytest.mark.parametrize("text", ["[task", "a = ", "\x00", "é = 1"])
def test_what_is_no_toml_is_refused(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ns.InputError, match=r"bad\.toml: cannot be read as TOML"):
        load(path)


def test_an_unknown_config_gets_a_suggestion():
    with pytest.raises(ns.InputError, match="did you mean 'quickstart'"):
        load("quickstrat")


def test_none_is_written_as_text(tiny):
    config = tiny("task.squash=none", "rule.window=none")
    assert config.task.squash is None
    assert config.rule.window is None
    assert config.resolved()["task"]["squash"] == "none"


def test_one_seed_for_all_unless_said_otherwise(tiny):
    config = tiny()
    assert (config.network.seed, config.task.seed, config.simulator().seed) == (5, 5, 5)
    config = tiny("network.seed=1", "task.seed=2")
    assert (config.network.seed, config.task.seed, config.simulator().seed) == (1, 2, 5)
    config = load_with_seed = tiny("network.seed=1", "task.seed=2", seed=9)
    assert (config.network.seed, config.task.seed, config.simulator().seed) == (9, 9, 9)
    assert load_with_seed.simulator().network.seed == 9


def test_the_training_batch_is_the_tasks(tiny):
    assert tiny("training.batch=4").task.batch == 4
    assert tiny("training.batch=4", "task.batch=4").task.batch == 4


def test_a_rate_per_projection(tiny):
    config = tiny("rule.learning_rate={A = 1e-3, B = 1e-2}")
    assert config.rule.learning_rate == {"A": 1e-3, "B": 1e-2}


def test_values_are_toml_or_text(tiny):
    assert tiny("task.direction=past").task.direction == "past"
    assert tiny('task.direction="past"').task.direction == "past"
    assert tiny("rule.noise_std=1e-2").rule.noise_std == 1e-2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((".001", 0.001), ("1.", 1.0), ("+.5", 0.5), ("-1.e2", -100.0), ("1_000", 1000)),
        *(("+1", 1), ("True", True), ("False", False), ("true", True), ("None", "none")),
        *(("{A = .1, B = [-1.e-3]}", {"A": 0.1, "B": [-0.001]}), ("'a .5'", "a .5")),
        ('{A = " .5", B = 2.}', {"A": " .5", "B": 2.0}),
        *(("[.5, 1.]", [0.5, 1.0]), ("{'A': .1}", {"A": 0.1}), ("{A = 1}", {"A": 1})),
        # All else is text, also if it is a number in another language.
        *((text, text) for text in ("007", "1,5", "0,001", "(1, 2)", "{1}", "b'1'", "...", "5in")),
        *((text, text) for text in ("1j", "a.b", "1\nb = 2", "TRUE", "yes", "٣.٥", "", "$HOME")),
    ],
)
def test_values_are_numbers_as_python_reads_them_too(text, value):
    read = override(f"a.b={text}")
    assert read == ("a.b", value)
    assert type(read[1]) is type(value)


def test_the_hash_is_of_what_is_learned_not_for_how_long(tiny):
    assert tiny("training.epochs=7").digest == tiny().digest
    assert tiny("rule.noise_std=1e-2").digest != tiny().digest
    assert tiny(seed=6).digest != tiny().digest


def test_the_network_follows_its_table(tiny):
    network = tiny("network.neuron=ReLU", "network.tau=2", "network.gain=0").simulator().network
    assert network.population("hidden").neuron == ns.ReLU(tau=2)
    assert not network.initial_weights()["R"].any()


def test_a_rule_of_ones_own(tiny, tmp_path, monkeypatch):
    (tmp_path / "own_rules.py").write_text(
        "from neurosim import ANP\nclass Mine(ANP):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny("rule.name=own_rules:Mine")
    assert type(config.rule).__name__ == "Mine"
    assert config.resolved()["rule"]["name"] == "own_rules:Mine"


def test_without_any_task_installed_it_says_how_to_install(tiny, monkeypatch):
    monkeypatch.setattr(registry, "tasks", dict)
    with pytest.raises(ns.InputError, match="pip install"):
        tiny()


# ------------------------------------------------------------------------ which file it is


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with a `configs` of its own, elsewhere than where neurosim's are."""
    folder = tmp_path / "clone"
    text = registry.configs()["quickstart"].read_text()
    for name in ("quickstart", "mine", "paper/mine", "paper/reproduce/costs"):
        path = folder / "configs" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("epochs = ", "epochs = 7"))
    monkeypatch.chdir(folder)
    return folder


def test_a_config_in_the_current_folder_comes_first(clone, monkeypatch):
    there = registry.config_folder().resolve()
    for name in ("quickstart", "mine", "paper/mine"):
        config = load(name)
        assert config.where == f"configs/{name}.toml"
        assert config.training.epochs > 1000
    assert load("best/mackey_glass").where == str(there / "best" / "mackey_glass.toml")
    assert load(there / "quickstart.toml").training.epochs < 1000
    with pytest.raises(ns.InputError, match="did you mean 'mine'"):
        load("min")
    assert figures.names()["costs"] == Path("configs/paper/reproduce/costs.toml")
    assert figures.names()["rflo"].is_relative_to(there)
    assert not [name for name in registry.configs() if "reproduce" in name]
    monkeypatch.chdir(clone / "configs")
    assert load("quickstart").where == str(there / "quickstart.toml")


def test_from_the_folder_of_neurosim_itself_nothing_is_found_twice(monkeypatch):
    monkeypatch.chdir(registry.config_folder().parent)
    assert registry.own_config_folder() is None
    assert load("quickstart").where == str(registry.config_folder() / "quickstart.toml")


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--epochs", "1"],
        ["sweep", "--set", "training.epochs=1", "--seeds", "1", "--jobs", "1"],
        ["tune", "--set", "training.epochs=1", "--seeds", "1", "--budget", "1", "--jobs", "1"],
        ["align", "--draws", "2", "--steps", "3"],
    ],
)
def test_every_command_says_which_file_it_runs(clone, tiny_file, neurosim, command):
    (clone / "configs" / "mine.toml").write_text(tiny_file.read_text())
    name, *more = command
    code, said, _ = neurosim(name, "mine", *more)
    assert code == 0
    assert said.splitlines()[0] == "config: configs/mine.toml"


def test_so_does_the_list(clone, neurosim):
    lines = neurosim("list", "configs")[1].splitlines()
    assert [line.split()[0] for line in lines if line.endswith("]")] == [
        "mine",
        "paper/mine",
        "quickstart",
    ]
    assert any(line.endswith("[configs/quickstart.toml]") for line in lines)


def test_a_figure_says_its_file(clone, neurosim):
    code, _, err = neurosim("reproduce", "costs")
    assert code == 2
    assert "configs/paper/reproduce/costs.toml: " in err  # it is no figure: it was read
