"""What README, CONTRIBUTING and docs/ say: budgets, links, commands, names; nothing is run."""

import ast
import inspect
import re
import shlex
import textwrap
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer

import neurosim as ns
from neurosim.cli import app
from neurosim.experiments import config, registry, reproduce
from neurosim.experiments.sweep import Axes, axes, runs
from neurosim.local import scalar

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in FILES}
TESTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
RULES = {**registry.RULES, **registry.DECORRELATIONS}
COMMANDS = typer.main.get_command(app).commands
PLACES = ("reward", "neuron", "trace", "synapse", "feedback_synapse")
FOLDERS = "benchmarks|configs|docs|examples|neurosim|tasks|tests"
FILE = re.compile(rf"(?:{FOLDERS})/[\w./*-]*|[\w/*-]+/[\w*-]+\.(?:py|toml|md|png)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def blocks(page, language):
    """Fenced blocks of a language."""
    return [block for name, block in FENCED.findall(page) if name == language]


def spans(page):
    """Code within sentences."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCED.sub("", page))]


def stale(page):
    """Rules whose budget a page does not show as it is, and functions that it does not."""
    shown = {block.split(":")[0]: block.rstrip() for block in blocks(page, "")}
    functions = {f"{name}.{p}": scalar(rule, p) for name, rule in RULES.items() for p in PLACES}
    code = {name: textwrap.dedent(inspect.getsource(f)) for name, f in functions.items() if f}
    found = {name for name, rule in RULES.items() if shown.get(name) != str(rule.budget())}
    return found | {name for name, source in code.items() if source not in page}


def test_every_rules_budget_and_code_are_shown_as_they_are():
    assert stale(PAGES["docs/rules.md"]) == set()


def test_a_changed_budget_or_line_of_code_is_noticed():
    page = PAGES["docs/rules.md"]
    assert stale(page.replace("own noise  must be", "own noise  need not be")) == {"NP", "WP"}
    changed = page.replace("return reward * noise", "return noise")
    assert stale(changed) == {"NP.neuron", "WP.synapse"}


@cache
def anchors(path):
    """What links can point to in a page, as GitHub makes it of headings."""
    found = []
    page = FENCED.sub("", path.read_text("utf-8"))
    for heading in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


def broken_links(name, page):
    """Relative links to what does not exist."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page)):
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        if "://" not in target and not (path.exists() and (not anchor or anchor in anchors(path))):
            found.append(target)
    return found


def unknown_names(page):
    """Names of the package, files and tests that there are not."""
    found = set()
    for dotted in re.findall(r"\bns\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", page):
        thing, (first, *rest) = ns, dotted.split(".")
        for name in [first, *rest] if rest or first not in ns.__all__ else ():
            if not hasattr(thing, name):
                found.add(dotted)
                break
            thing = getattr(thing, name)
    for span in spans(page):
        if re.fullmatch(r"test_\w+", span) and f"def {span}(" not in TESTS:
            found.add(span)
        if FILE.fullmatch(span) and not any(any(at.glob(span)) for at in (ROOT, ROOT / "neurosim")):
            found.add(span)
    return found


def commands(page):
    """Commands of sh blocks, whole; and those within sentences, which may say just a part."""
    block = "".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [(line, True) for line in block.splitlines()]
    lines += [(s, False) for s in spans(page) if s.startswith(("neurosim ", "python "))]
    for line, whole in lines:
        command = []
        for word in [*shlex.split(line, comments=True), ";"]:
            if word not in ("&&", "||", ";", "|", "&"):
                command.append(word)
            elif command:
                yield command, whole
                command = []


def wrong_options(words, known):
    return [w for w in words if w.startswith("--") and w.partition("=")[0] not in known]


def check(command, whole):
    """Parse a command as the program would; raise what is wrong with it or what it names."""
    program, *words = command
    if program == "python" and words[0].startswith("benchmarks/"):
        known = re.findall(r'"(--[\w-]+)"', (ROOT / words[0]).read_text("utf-8"))
        assert not wrong_options(words, known)
    if Path(program).name != "neurosim" or not words or words[0].startswith("-"):
        return
    name, *words = words
    assert name in COMMANDS, f"no command {name}"
    assert not wrong_options(words, {o for p in COMMANDS[name].params for o in p.opts})
    given = {}
    try:
        given = COMMANDS[name].make_context(name, [*words]).params
    except Exception as error:
        if whole or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
            raise
    first = words[0] if words and not words[0].startswith("-") else ""
    somebodys = first.endswith(".toml") or first.isupper() or not first
    if "set_" in given and name != "reproduce" and not somebodys:
        tables, *where = config.read(first, given["set_"] or ())
        table = axes.parse(tables.pop(config.SWEEP, {}))
        varied = (*table.axes, *map(axes.option, given.get("over") or ()))
        assert runs(tables, *where, Axes(varied, axes.seeds_option("1")))
    names = dict.fromkeys(("run", "sweep", "tune", "align"), registry.configs())
    names["reproduce"] = [*reproduce.names(), "all"]
    assert somebodys or first in names.get(name, [first]), f"{name}: no {first}"


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_exists_and_its_code_and_commands_parse(name):
    page = PAGES[name]
    assert broken_links(name, page) == []
    assert unknown_names(page.replace("ns.MyRule", "")) == set()
    for command, whole in commands(page):
        check(command, whole)
    for block in blocks(page, "python"):
        ast.parse(block)
    for block in blocks(page, "toml"):
        tomllib.loads(block)


def test_wrong_links_and_names_are_noticed():
    links = "[a](rules.md) [b](rules.md#np) [c](no.md) [d](rules.md#no) [e](../README.md)"
    assert broken_links("docs/x.md", links) == ["no.md", "rules.md#no"]
    assert unknown_names("ns.ANP ns.Anp() ns.presets.smtj ns.presets.no.") == {"Anp", "presets.no"}
    assert unknown_names("`docs/no.md` `rules/rflo.py` `test_no`") == {"docs/no.md", "test_no"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("neurosim train quickstart", "no command train"),
        ("neurosim run quickstart --no-such-option", "no-such-option"),
        ("neurosim run no_such_config", "no_such_config"),
        ("neurosim run quickstart --set rule.no_such_field=1", "no_such_field"),
        ("neurosim sweep quickstart --over rule.no_such_field=1,2", "no_such_field"),
        ("neurosim list nothing", "nothing"),
        ("neurosim tune quickstart", "budget"),
        ("cd x && neurosim reproduce figure-3", "no figure-3"),
        ("python benchmarks/no_such_script.py", "no_such_script"),
        ("python benchmarks/memory.py --no-such-option", "no-such-option"),
    ],
)
def test_a_wrong_command_is_noticed(line, said):
    *_, last = commands(f"```sh\n{line}  # as printed\n```")
    with pytest.raises(Exception, match=said):  # of typer, by its version
        check(*last)


def test_part_of_a_command_is_enough_within_a_sentence():
    for command, whole in commands("`neurosim tune quickstart` `neurosim bench --against`"):
        check(command, whole)


def test_every_page_is_in_the_index():
    index = PAGES["docs/README.md"]
    assert [p.name for p in FILES[2:] if f"({p.name})" not in index] == ["README.md"]
