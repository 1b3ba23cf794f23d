"""Every example is a pair of files in step, its outputs are there, and it runs anywhere.

``python tests/test_examples.py [NAME ...]`` runs examples and writes their notebooks anew.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

TOOLS = "needs jupytext, nbclient and ipykernel"
jupytext = pytest.importorskip("jupytext", reason=TOOLS)
nbclient = pytest.importorskip("nbclient", reason=TOOLS)
pytest.importorskip("ipykernel", reason=TOOLS)
nbformat = pytest.importorskip("nbformat", reason=TOOLS)
kernels = pytest.importorskip("jupyter_client", reason=TOOLS)

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
NUMBERED = (1, 2, 3, 4, 5, 6)

# No example has paths in its outputs: not its reader's, and not its writer's.
PLACES = re.compile(r"(?<![\w.:/<~-])/\w[\w.-]*/[\w.-]+|\b[A-Z]:\\")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ThisPython(kernels.AsyncKernelManager):
    """Starts the Python that runs this: no kernel need be installed, and none can be mistaken."""

    @property
    def kernel_spec(self) -> Any:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return kernels.kernelspec.KernelSpec(argv=command, language="python")


def execute(notebook: Any, folder: Path) -> Any:
    """Run all cells in `folder`."""
    # A backend that is set for tests is no part of a reader's environment.
    env = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    client = nbclient.NotebookClient(notebook, kernel_manager_class=ThisPython, timeout=300)
    return client.execute(cwd=str(folder), env=env)


def cells(notebook: Any) -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    return [(cell["cell_type"], cell["source"].strip()) for cell in notebook.cells]


def texts(output: Any) -> list[str]:
    """What an output says in words."""
    if output["output_type"] == "stream":
        return ["".join(output["text"])]
    data = output.get("data", {})
    return ["".join(value) for kind, value in data.items() if kind.startswith("text/")]


def offences(notebook: Any) -> list[str]:
    """What a stored notebook must not have."""
    found = []
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    if not outputs:
        found.append("no outputs")
    for output in outputs:
        if output["output_type"] == "error":
            found.append(f"an error: {output['ename']}")
        if output.get("name") == "stderr":
            found.append(f"stderr: {output['text']}")
        found += [f"a path: {text}" for text in texts(output) if PLACES.search(text)]
    for cell in notebook.cells:
        if cell["cell_type"] == "code" and cell["source"].strip() and not cell["execution_count"]:
            found.append(f"a cell that was not run: {cell['source']}")
        if cell["metadata"]:
            found.append(f"metadata of a cell: {cell['metadata']}")
    if notebook.metadata != METADATA:
        found.append(f"metadata: {notebook.metadata}")
    return found


def read(name: str, suffix: str) -> Any:
    """One of a pair's files."""
    return jupytext.read(EXAMPLES / f"{name}{suffix}")


def write(name: str) -> None:
    """Make the notebook from its script, with outputs."""
    made = read(name, ".py")
    with tempfile.TemporaryDirectory() as folder:
        execute(made, Path(folder))
    made.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(made.cells, 1):
        # Neither times nor random names: running again changes nothing but what came out.
        cell.metadata, cell["id"] = nbformat.from_dict({}), f"cell-{number}"
    nbformat.write(made, EXAMPLES / f"{name}.ipynb")


def test_examples_are_numbered_and_none_is_missing():
    assert [int(name[:2]) for name in NAMES] == list(NUMBERED)
    assert all(re.fullmatch(r"\d\d(_[a-z]+)+", name) for name in NAMES)
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_both_files_hold_the_same_cells(name):
    assert cells(read(name, ".py")) == cells(read(name, ".ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_the_title_has_the_files_number(name):
    first = read(name, ".py").cells[0]
    assert first["cell_type"] == "markdown"
    assert first["source"].startswith(f"# {int(name[:2])}. ")


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_notebook_is_whole_and_clean(name):
    assert offences(read(name, ".ipynb")) == []
    assert (EXAMPLES / f"{name}.ipynb").stat().st_size < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_an_empty_folder(name, tmp_path):
    notebook = execute(read(name, ".py"), tmp_path)
    assert not [o for cell in notebook.cells for o in cell.get("outputs", []) if "ename" in o]


def notebook_of(*sources: str) -> Any:
    """A notebook of such code cells."""
    made = nbformat.v4.new_notebook(metadata=METADATA)
    made.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return made


def test_a_cell_that_fails_is_noticed(tmp_path):
    """Negative control."""
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        execute(notebook_of("1 + 1", "1 / 0"), tmp_path)


@pytest.mark.parametrize(
    ("source", "offence"),
    [
        ("import sys; print('careful', file=sys.stderr)", "stderr: careful"),
        ("print('written to', '/some/where')", "a path: written to /some/where"),
        ("None", "no outputs"),
    ],
)
def test_what_must_not_be_stored_is_noticed(source, offence, tmp_path):
    """Negative control."""
    found = offences(execute(notebook_of(source), tmp_path))
    assert any(said.startswith(offence) for said in found)


def test_notebooks_run_by_this_python(tmp_path):
    made = execute(notebook_of("import sys; print(sys.executable)"), tmp_path)
    assert made.cells[0]["outputs"][0]["text"].strip() == sys.executable


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        write(Path(chosen).stem)
