"""The house's law of imports, walked: every room stands above all that it imports."""

import ast
from pathlib import Path

import jaxloop

ROOT = Path(jaxloop.__file__).parent

# From the ground up; a room may import rooms of lower floors, and its own.
FLOORS = [
    {"errors", "types", "spec", "__init__"},
    {"files"},
    {"keys", "config", "pixels", "weight_files", "provenance"},
    {"devices", "lowerings"},
    {"winograd"},
    {"convolution"},
    {"data", "features"},
    {"generators", "classifiers", "filters", "metrics", "report", "review"},
    {"loop.queue", "loop.log", "loop.policy"},
    {"loop.state", "loop.parts"},
    {"loop.audit", "loop.filtering", "loop.notes", "loop.people"},
    {"loop.generation"},
    {
        "loop.advance",
        "loop.setup",
        "loop.distances",
        "loop.artifacts",
        "loop.checkpoint",
        "loop.progress",
        "loop.tensorboard",
        "loop.workdir",
    },
    {"loop.measure"},
    {"loop.driver"},
    {"main"},
]


def room(module: str) -> str:
    """jaxloop.data.idx -> data; jaxloop.loop.queue -> loop.queue."""
    parts = module.split(".")[1:] or ["__init__"]
    return ".".join(parts[:2]) if parts[0] == "loop" and len(parts) > 1 else parts[0]


def floor(name: str) -> int:
    found = [i for i, rooms in enumerate(FLOORS) if name in rooms]
    assert len(found) == 1, f"{name} has no floor in this test"
    return found[0]


def imported(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                as_module = ROOT.parent.joinpath(*node.module.split("."), alias.name)
                is_module = as_module.is_dir() or as_module.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def files():
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def test_imports_run_one_way():
    arrows = 0
    for path in files():
        mine = room(name_of(path))
        if mine == "loop":
            continue  # the folder's own __init__
        for module in imported(path):
            if module.split(".")[0] == "jaxloop" and room(module) not in (mine, "__init__"):
                arrows += 1
                assert floor(room(module)) < floor(mine), f"{path} imports {module}"
    assert arrows > 50  # the walk saw the code


def test_readers_of_a_workdir_know_nothing_of_the_loop():
    for path in files():
        if room(name_of(path)) in ("report", "review", "provenance"):
            assert not [
                m
                for m in imported(path)
                if m.startswith("jaxloop.loop") or m.split(".")[0] in ("jax", "flax")
            ]


def test_random_keys_are_made_in_one_place():
    for path in files():
        if path.name != "keys.py":
            for word in ("random.key(", "PRNGKey", "random.split("):
                assert word not in path.read_text(), f"{path} makes a key"


def test_configuration_library_is_read_in_one_place():
    readers = {
        path.name for path in files() if any(m.startswith("ml_collections") for m in imported(path))
    }
    assert readers == {"config.py", "main.py"}


def test_files_stay_short():
    for path in files():
        assert len(path.read_text().splitlines()) <= 300, path
