"""The house's law of imports, walked: every room stands above all that it imports."""

import ast
from pathlib import Path

import jaxloop

ROOT = Path(jaxloop.__file__).parent

# From the ground up; a room may import rooms of lower floors, and its own.
FLOORS = [
    {"errors", "types", "__init__", "fields"},
    {"spec"},
    {"files", "keys", "statistics"},
    {"devices", "records", "predictions", "optimizers"},
    {"provenance", "ops", "weights"},
    {"data", "features"},
    {"generators", "classifiers", "filters", "metrics"},
    {"config"},
    {"recipes"},
    {"loop"},
    {"evaluators"},
    {"analysis", "review"},
    {"report"},
    {"run"},
    {"main"},
]


def room(module: str) -> str:
    """Return jaxloop.data.idx -> data."""
    return (module.split(".")[1:] or ["__init__"])[0]


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
        for module in imported(path):
            if module.split(".")[0] == "jaxloop" and room(module) not in (mine, "__init__"):
                arrows += 1
                assert floor(room(module)) < floor(mine), f"{path} imports {module}"
    assert arrows > 50  # the walk saw the code


def test_readers_of_a_workdir_know_nothing_of_the_loop():
    for path in files():
        if room(name_of(path)) in ("analysis", "report", "review", "provenance"):
            modules = set(imported(path))
            rooms = {room(module) for module in modules if module.startswith("jaxloop")}
            assert not rooms & {"loop", "evaluators", "run", "config"}, path
            assert not {module.split(".")[0] for module in modules} & {"jax", "flax"}, path


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
