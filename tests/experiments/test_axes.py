"""What a sweep varies is written in few words, and whatever is ambiguous is refused."""

from __future__ import annotations

import itertools
import re
import tomllib

import numpy as np
import pytest

import neurosim as ns
from neurosim.experiments.sweep import Axes
from neurosim.experiments.sweep.axes import Axis, option, parse, seeds_option

RATE, STD = "rule.learning_rate", "rule.noise_std"


def read(text):
    return parse(tomllib.loads(text).get("sweep", {}))


def values(axes, field=RATE):
    """What a field is set to, in order."""
    return [setting[field] for setting, _ in axes.settings()]


# ---------------------------------------------------------------------------- values


def test_a_list_is_taken_as_it_is():
    assert values(parse({"product": {RATE: [3, 0.5, 1e-9]}})) == [3, 0.5, 1e-9]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"log": [1e-4, 1e-1], "points": 4}, [1e-4, 1e-3, 1e-2, 1e-1]),
        ({"log": [1e-9, 1], "points": 10}, [float(f"1e-{k}") for k in range(9, -1, -1)]),
        ({"log": [1, 100], "points": 2}, [1.0, 100.0]),
        ({"log": [1e-3, 1e-2], "points": 3}, [1e-3, 0.003162278, 1e-2]),
        ({"linear": [0, 1], "points": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"linear": [-0.3, 0.3], "points": 7}, [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
    ],
)
def test_a_range_is_written_out_in_numbers_as_a_person_writes_them(given, expected):
    assert values(parse({"product": {RATE: given}})) == expected


@pytest.mark.parametrize("points", [2, 3, 7, 31])
def test_a_range_has_its_ends_its_points_and_even_steps(points):
    low, high = 2e-5, 0.7
    linear = values(parse({"product": {RATE: {"linear": [low, high], "points": points}}}))
    log = values(parse({"product": {RATE: {"log": [low, high], "points": points}}}))
    for found in (linear, log):
        assert (found[0], found[-1], len(found)) == (low, high, points)
    np.testing.assert_allclose(np.diff(linear), (high - low) / (points - 1), rtol=1e-4)
    np.testing.assert_allclose(np.diff(np.log(log)), np.log(high / low) / (points - 1), rtol=1e-4)


def test_whole_tables_are_values():
    rules = [{"name": "ANP", "learning_rate": 1e-3}, {"name": "NP", "learning_rate": 1e-4}]
    found = parse({"product": {"rule": rules, "network.hidden": [4]}})
    assert values(found, "rule") == rules
    assert found.fields == ("rule", "network.hidden")


def test_keys_need_no_quotes():
    plain = "rule.learning_rate.A = [1, 2]\nrule.noise_std = {log = [1e-3, 1e-2], points = 2}\n"
    quoted = '"rule.learning_rate.A" = [1, 2]\n"rule.noise_std" = [1e-3, 1e-2]\n'
    for block in ("[sweep.product]", "[[sweep.zip]]"):
        assert read(block + "\n" + plain) == read(block + "\n" + quoted)
    assert read("[sweep.product]\n" + plain).fields == ("rule.learning_rate.A", STD)


# ---------------------------------------------------------------------- combinations


def test_nothing_varied_is_one_run_of_the_config_itself():
    for axes in (parse({}), Axes()):
        assert list(axes.settings()) == [({}, None)]
        assert len(axes) == 1


def test_zipped_fields_go_together():
    found = read("[[sweep.zip]]\nrule.learning_rate = [1, 2, 3]\nrule.noise_std = [4, 5, 6]")
    assert [tuple(s.values()) for s, _ in found.settings()] == [(1, 4), (2, 5), (3, 6)]


def test_in_a_zip_one_field_may_stay_as_it_is():
    found = parse({"zip": {"a.b": [1, 1, 2], "a.c": [3, 4, 4]}})
    assert [tuple(s.values()) for s, _ in found.settings()] == [(1, 3), (1, 4), (2, 4)]


def test_a_single_zip_needs_no_list():
    one, many = "[sweep.zip]\na.b = [1, 2]\na.c = [3, 4]", "[[sweep.zip]]\na.b=[1, 2]\na.c=[3, 4]"
    assert read(one) == read(many)


def test_product_zips_and_seeds_are_all_combined_seeds_outermost():
    found = parse(
        {
            "product": {"a.p": [1, 2], "a.q": [3, 4, 5]},
            "zip": [{"b.x": [6, 7], "b.y": [8, 9]}, {"c.z": [10, 11]}],
            "seeds": [30, 20],
        }
    )
    expected = [
        ({"a.p": p, "a.q": q, "b.x": x, "b.y": y, "c.z": z}, seed)
        for seed in (30, 20)
        for p, q, (x, y), z in itertools.product([1, 2], [3, 4, 5], [(6, 8), (7, 9)], [10, 11])
    ]
    assert list(found.settings()) == expected
    assert len(found) == len(expected) == 2 * 2 * 3 * 2 * 2


@pytest.mark.parametrize(("given", "seeds"), [(3, (0, 1, 2)), ([7], (7,)), ([5, 0], (5, 0))])
def test_seeds_are_a_list_or_how_many(given, seeds):
    assert parse({"seeds": given}).seeds == seeds
    assert [seed for _, seed in parse({"seeds": given}).settings()] == list(seeds)


# ------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1e-3,1e-4", [1e-3, 1e-4]),
        ("a.b = 1, 2 ,3", [1, 2, 3]),
        ("a.b=true,false", [True, False]),
        ("a.b=tanh,none", ["tanh", "none"]),
        ("a.b=tanh,3", ["tanh", 3]),
        ("a.b='x,y','z'", ["x,y", "z"]),
        ("a.b=[1, 2],[3]", [[1, 2], [3]]),
        ("a.b={A = 1},{A = 2}", [{"A": 1}, {"A": 2}]),
        ("a.b=7", [7]),
        ("a.b=.001,1.,+2,1_000", [0.001, 1.0, 2, 1000]),
        ("a.b=True,False", [True, False]),
        ("a.b=ANP,.5", ["ANP", 0.5]),
        ("a.b=[.5, 1.],[2]", [[0.5, 1.0], [2]]),
        ("a.b=log(.0001,.1,4)", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("a.b=log(1e-4,1e-1,4)", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("a.b= log( 1e-4 , 1e-1 , 4 )", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("a.b=linear(0,1,3)", [0.0, 0.5, 1.0]),
        ("a.b.c=1,2", [1, 2]),
    ],
)
def test_over_reads_values_as_toml_does_or_text(text, expected):
    field = text.partition("=")[0].strip()
    axis = option(text)
    assert axis.settings == tuple({field: value} for value in expected)
    kinds = [type(setting[field]) for setting in axis.settings]
    assert kinds == list(map(type, expected))


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (0, 1, 2)), ("10,11,12", (10, 11, 12)), ("7,", (7,)), (" 4, 2 ", (4, 2)), ("1", (0,))],
)
def test_seeds_on_the_command_line(text, seeds):
    assert seeds_option(text) == seeds


# --------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([], r"sweep = \[\]: must be a table, \[sweep\]"),
        ({"produkt": {}}, r"\[sweep\] produkt: no such key; did you mean 'product'\? known: "),
        ({"product": 3}, r"\[sweep.product\] = 3: must be a table of values by field"),
        ({"product": [1]}, r"\[sweep.product\] = \[1\]: must be a table"),
        ({"zip": [3]}, r"\[sweep.zip\] = 3: must be a table of values by field"),
        ({"product": {RATE: []}}, r"rule.learning_rate = \[\]: must be a list.*and not empty"),
        ({"product": {RATE: 3}}, r"rule.learning_rate = 3: must be a list, or a range such as"),
        ({"product": {RATE: "log"}}, r"rule.learning_rate = 'log': must be a list, or a range"),
        ({"product": {RATE: [1, 2, 1]}}, r"\[sweep\] rule.learning_rate = 1: is there twice"),
        ({"product": {"a.b": [[1], [1]]}}, r"\[sweep\] a.b = \[1\]: is there twice"),
        ({"product": {"rule": [1, 2]}}, r"rule = \[1, 2\]: must be a list of tables, and not"),
        ({"product": {"rule": "ANP"}}, r"rule = 'ANP': must be a list of tables"),
        (
            {"product": {"rule": [{"name": "NP"}] * 2}},
            r"\[sweep\] rule = \{'name': 'NP'\}: is there twice",
        ),
        ({"zip": {"a.b": [1, 1], "a.c": [2, 2]}}, r"\[sweep\] a.b = 1, a.c = 2: is there twice"),
        ({"zip": {"a.b": [1, 2], "a.c": [1]}}, r"as many values each; a.b has 2, a.c has 1"),
        ({"zip": [{}]}, r"\[sweep.zip\]: fields must have as many values each; there are none"),
        ({"seeds": 0}, r"\[sweep\] seeds = 0: must be a list of whole numbers, or how many"),
        ({"seeds": []}, r"\[sweep\] seeds = \[\]: must be a list"),
        ({"seeds": True}, r"\[sweep\] seeds = True: must be a list"),
        ({"seeds": -3}, r"\[sweep\] seeds = -3: must be a list"),
        ({"seeds": 1.5}, r"\[sweep\] seeds = 1.5: must be a list"),
        ({"seeds": "12"}, r"\[sweep\] seeds = '12': must be a list"),
        ({"seeds": [1, -1]}, r"\[sweep\] seeds = \[1, -1\]: must be a list of whole numbers"),
        ({"seeds": [1, 2**32]}, r"seeds = .*: must be a list of whole numbers"),
        ({"seeds": [1, True]}, r"seeds = .*: must be a list of whole numbers"),
        ({"seeds": [4, 4]}, r"\[sweep\] seeds = \[4, 4\]: holds a seed twice"),
    ],
)
def test_what_cannot_be_meant_is_named(table, says):
    with pytest.raises(ns.InputError, match=says):
        parse(table)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"log": [0, 1], "points": 3}, "above 0: it is logarithmic"),
        ({"log": [-1, 1], "points": 3}, "above 0: it is logarithmic"),
        ({"log": [1, 1], "points": 3}, "two numbers, the lower first"),
        ({"linear": [2, 1], "points": 3}, "two numbers, the lower first"),
        ({"linear": [1], "points": 3}, "two numbers, the lower first"),
        ({"linear": ["a", "b"], "points": 3}, "two numbers, the lower first"),
        ({"linear": [0, float("nan")], "points": 3}, "two numbers, the lower first"),
        ({"linear": [False, True], "points": 3}, "two numbers, the lower first"),
        ({"linear": 3, "points": 3}, "two numbers, the lower first"),
        ({"log": [1, 2], "points": 1}, "2 points or more"),
        ({"log": [1, 2], "points": 2.0}, "2 points or more"),
        ({"log": [1, 2], "points": True}, "2 points or more"),
        ({"log": [1, 2]}, r"\{log = \[low, high\], points = n\}"),
        ({"log": [1, 2], "linear": [1, 2], "points": 3}, r"\{log = \[low, high\], points = n\}"),
        ({"log": [1, 2], "points": 3, "base": 2}, r"\{log = \[low, high\], points = n\}"),
    ],
)
def test_a_range_that_is_none_is_named_with_what_is_allowed(given, says):
    with pytest.raises(ns.InputError, match=says) as caught:
        parse({"product": {RATE: given}})
    assert str(caught.value).startswith(f"[sweep] {RATE} = {given!r}: must be ")


@pytest.mark.parametrize(
    "table",
    [
        {"product": {RATE: [1]}, "zip": [{RATE: [1]}]},
        {"zip": [{RATE: [1]}, {RATE: [2]}]},
        {"product": {"rule": [{"name": "NP"}], RATE: [1]}},
        {"product": {RATE: [1], "rule": [{"name": "NP"}]}},
        {"product": {RATE: [1]}, "zip": [{f"{RATE}.A": [1]}]},
    ],
    ids=["product and zip", "two zips", "its table", "its table later", "a field below"],
)
def test_no_field_is_set_by_two_axes(table):
    with pytest.raises(ns.InputError, match=r"\[sweep\] rule.*: varied by two axes; one must do"):
        parse(table)


def test_fields_that_only_begin_alike_are_two():
    parse({"product": {"rule.noise": [1], "rule.noise_std": [2]}})


def test_an_option_may_not_vary_what_the_table_does():
    table = parse({"product": {RATE: [1]}})
    with pytest.raises(ns.InputError, match="varied by two axes"):
        Axes((*table.axes, option(f"{RATE}=2")))
    assert len(Axes((*table.axes, option("a.b=1,2")))) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.b", "must be table.key=value,value,... or table.key=log(low,high,points)"),
        ("a=1", "must be table.key=value,value"),
        ("a.b=", "must be table.key=value,value"),
        ("=1", "must be table.key=value,value"),
        ("a.b=log(1,2)", "log(low, high, points) takes three numbers"),
        ("a.b=linear(1,2,3,4)", "linear(low, high, points) takes three numbers"),
        ("a.b=log(0,1,3)", "above 0: it is logarithmic"),
        ("a.b=log(x,1,3)", "two numbers, the lower first"),
        ("a.b=log(1,2,1)", "2 points or more"),
        ("a.b=1,1", "a.b = 1: is there twice"),
    ],
)
def test_an_option_that_is_none_is_named(text, says):
    with pytest.raises(ns.InputError, match=re.escape(says)) as caught:
        option(text)
    assert str(caught.value).startswith(f"--over {text}: ")


@pytest.mark.parametrize("text", ["", ",", "0", "-1", "a", "1,a", "1,1", "1.5", "true", "1,-2"])
def test_seeds_that_are_none_are_named(text):
    with pytest.raises(ns.InputError, match=r"--seeds .*(must be a list of whole numbers|twice)"):
        seeds_option(text)


def test_an_axis_knows_its_fields():
    assert Axis(({"a.b": 1, "a.c": 2}, {"a.b": 3, "a.c": 4})).fields == ("a.b", "a.c")


# ----------------------------------------------------- known faults, until they are mended


@pytest.mark.parametrize("given", [3, True])
def test_a_zip_that_is_a_number_is_named(given):
    with pytest.raises(ns.InputError, match=r"\[sweep.zip\] = "):
        parse({"zip": given})


def test_a_field_with_and_without_quotes_is_set_twice():
    with pytest.raises(ns.InputError, match=r"twice|two axes"):
        read('[sweep.product]\n"a.b" = [1, 2]\na.b = [3]\n')


def test_a_linear_range_of_large_whole_numbers_keeps_them_apart():
    found = values(parse({"product": {RATE: {"linear": [0, 20_000_001], "points": 2}}}))
    assert found == [0, 20_000_001]


def test_a_range_between_whole_numbers_is_of_whole_numbers_if_all_are():
    for given, expected in (
        ({"linear": [10, 50], "points": 5}, [10, 20, 30, 40, 50]),
        ({"log": [1, 100], "points": 3}, [1, 10, 100]),
        ({"linear": [0, 1], "points": 3}, [0.0, 0.5, 1.0]),
        ({"linear": [0.0, 2.0], "points": 3}, [0.0, 1.0, 2.0]),
    ):
        found = values(parse({"product": {RATE: given}}))
        assert found == expected
        assert [type(value) for value in found] == [type(value) for value in expected]
