"""The documents: short where they promise it, and right about files, modules, fields and codes."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from jaxloop import config, records

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "configs").glob("*.py")),
]
PAGES = [path for path in DOCUMENTS if path.suffix == ".md"]
MARKER = "<!--"  # in docs/fields.md: all after this line is the output of a command


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_is_short_and_shows_the_way_to_every_page():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 120
    for page in PAGES:
        assert page.name == "README.md" or f"({_name(page)})" in readme, page


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            assert linked.is_file(), target
            assert not anchor or anchor in _anchors(linked), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_named_commands_files_and_fields_exist(document):
    text = document.read_text()
    for module in re.findall(r"python -m (jaxloop[\w.]*\w)", text):
        path = ROOT.joinpath(*module.split("."))
        path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert path.is_file() and "__main__" in path.read_text(), module
    rooms = "jaxloop|configs|launch|tests|benchmarks|docs"
    for path in re.findall(rf"(?<![\w/.])(?:{rooms})/[\w/.]*\.(?:py|sh|md|png)\b", text):
        assert (ROOT / path).is_file(), path
    fields = {name for name, *_ in config._all_fields()}
    for field in re.findall(r"--config\.([a-z_.]+)=", text):
        assert field in fields or field == "loop.generation", field  # shown as refused


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_dotted_names_can_be_imported(page):
    for dotted in re.findall(r"`(jaxloop(?:\.\w+)+)", page.read_text()):
        module, _, name = dotted.rpartition(".")
        assert hasattr(importlib.import_module(module), name) or importlib.import_module(dotted)


def test_fields_page_is_up_to_date():
    text = (ROOT / "docs" / "fields.md").read_text()
    shown = text[text.index("\n", text.index(MARKER)) :]
    assert shown.strip() == config.table().strip(), "CONTRIBUTING.md says how to renew it"


def test_measures_page_describes_every_field_and_code_of_a_record():
    text = (ROOT / "docs" / "measures.md").read_text()
    for code in (*records.REASONS, *records.CAVEATS):
        assert f"\n| `{code}` |" in text, code
    for field in (*records.PARAMETERS, "interval", "features", "reason", "caveat"):
        assert f"`{field}`" in text, field


def test_every_core_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    for dependency in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        assert re.search(rf'^ *"{re.escape(dependency)}", # \w+', text, re.MULTILINE), dependency


def test_one_version_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_extending_shows_the_parts_that_a_test_runs():
    page = (ROOT / "docs" / "extending.md").read_text()
    source = (ROOT / "tests" / "test_parts_from_outside.py").read_text()
    examples = re.findall(r"^# An? \w+ \[\w+\]\n(.*?)(?=^# )", source, re.DOTALL | re.MULTILINE)
    assert len(examples) == 6
    for example in examples:
        assert example.strip() in page, example
