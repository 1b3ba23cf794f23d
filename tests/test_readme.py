"""What the README shows is true."""

import inspect
import re
from pathlib import Path

import neurosim as ns

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
USE, RULE, CHIP = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_is_ten_lines_and_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len([line for line in USE.splitlines() if line]) == 10
    smaller = {"n_inputs, 100": "n_inputs, 20", "steps=1000": "steps=60", "epochs=50": "epochs=2"}
    code = USE
    for large, small in smaller.items():
        assert large in code
        code = code.replace(large, small)
    names = {}
    exec(code, names)
    assert set(names["sim"].weights) == {"A", "R", "B", "D"}
    assert len(names["history"].frame) == 3  # before training, and two epochs
    assert "persistence" in capsys.readouterr().out
    assert ns.Simulator.load("danp.npz").step == names["sim"].step
    exec(CHIP, names)
    assert names["sim"].substrate.assumed == names["chip"].assumed
    assert {"drift_nu", "act_noise", "stuck_fraction", "reward_delay"} <= set(names["chip"].assumed)
    assert ns.train(names["sim"], names["task"], epochs=1, progress=False).last["test_mse"] > 0


def test_the_rule_shown_is_the_rule_that_runs():
    for name in ("reward", "neuron", "synapse"):
        assert inspect.getsource(getattr(ns.ANP, name)) in RULE


def test_the_commands_name_configs_that_exist():
    named = re.findall(r"neurosim run ([\w/]+)", README)
    assert named
    for name in named:
        assert (ROOT / "configs" / f"{name}.toml").is_file()


def test_the_papers_configs_are_as_many_as_said():
    said = int(re.search(r"# (\d+) of them are the paper's", README).group(1))
    assert said == len(list((ROOT / "configs" / "paper").glob("*.toml")))
