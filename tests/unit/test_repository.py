"""Rules for the repository itself: what its files may hold and what the plugin's zip is made of."""

from __future__ import annotations

import ast
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 450
MAX_ZIP_BYTES = 25_000_000
TEXT = {".py", ".toml", ".md", ".txt", ".cfg", ".yml", ".json", ".svg", ".html", ".qml", ".ui", ""}
# Put together here so that this file does not break its own rule.
REGISTRY_HOSTS = ("py" + "pi.org", "python" + "hosted.org", "download.py" + "torch.org")
MACHINE_PATHS = ("/" + "work/", "/" + "root/")


def git(*arguments: str) -> str:
    # The checkout may belong to another user (containers), which git refuses unless told.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def python_files(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".py"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_python_file_is_too_long(python_files: list[Path]) -> None:
    lengths = {relative(path): path.read_text("utf-8").count("\n") for path in python_files}
    assert {name: count for name, count in lengths.items() if count > MAX_LINES} == {}


def test_qt_is_imported_through_qgis(python_files: list[Path]) -> None:
    direct = re.compile(r"^\s*(from|import) (PyQt|PySide)\d", re.MULTILINE)
    assert [relative(p) for p in python_files if direct.search(p.read_text("utf-8"))] == []


def unscoped_enums(source: str) -> list[str]:
    """Terminal attributes of ``Qt`` and ``Qgis`` that are no call: gone in Qt 6 and QGIS 4."""
    tree = ast.parse(source)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [
        f"{node.value.id}.{node.attr}, line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("Qt", "Qgis")
        and not node.attr.startswith("QGIS_")
        and id(node) not in inner | called
    ]


def test_unscoped_enums_are_recognised() -> None:
    assert unscoped_enums("f(Qt.Checked)") == ["Qt.Checked, line 1"]
    assert unscoped_enums("f(Qt.CheckState.Checked, Qgis.version(), Qgis.QGIS_VERSION_INT)") == []


def test_enums_are_scoped(python_files: list[Path]) -> None:
    found = {relative(path): unscoped_enums(path.read_text("utf-8")) for path in python_files}
    assert {name: enums for name, enums in found.items() if enums} == {}


@pytest.mark.parametrize("forbidden", [*REGISTRY_HOSTS, *MACHINE_PATHS])
def test_no_file_names_a_registry_or_this_machine(files: list[Path], forbidden: str) -> None:
    texts = [path for path in files if path.suffix in TEXT]
    assert [relative(p) for p in texts if forbidden in p.read_text("utf-8")] == []


def test_no_file_names_this_checkout(files: list[Path]) -> None:
    texts = [path for path in files if path.suffix in TEXT]
    assert [relative(p) for p in texts if f"{ROOT}/" in p.read_text("utf-8")] == []


def test_scripts_are_executable(files: list[Path]) -> None:
    scripts = [p for p in files if p.suffix in TEXT and p.read_bytes()[:2] == b"#!"]
    assert ROOT / "run" in scripts
    modes = {line.split()[3]: line.split()[0] for line in git("ls-files", "-s").splitlines()}
    assert [relative(p) for p in scripts if modes.get(relative(p), "100755") != "100755"] == []


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The zip that ``./run package`` builds from the last commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is nothing to package from")
    target = tmp_path_factory.mktemp("package") / "speckless.zip"
    subprocess.run(
        ["bash", str(ROOT / "run"), "package", str(target)], check=True, capture_output=True
    )
    return zipfile.ZipFile(target)


def test_package_has_one_folder(package: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in package.namelist()} == {"speckless"}


def test_package_holds_what_qgis_and_the_repository_need(package: zipfile.ZipFile) -> None:
    needed = ("__init__.py", "metadata.txt", "LICENSE", "resources/icons/speckless.svg")
    assert {f"speckless/{name}" for name in needed} <= set(package.namelist())


def test_package_holds_nothing_for_developers(package: zipfile.ZipFile) -> None:
    inside = {name.split("/")[1] for name in package.namelist()}
    for name in ("tests", "benchmarks", "recipes", "run", "pyproject.toml", "dist"):
        assert name not in inside


def test_package_holds_no_hidden_or_binary_file(package: zipfile.ZipFile) -> None:
    forbidden = re.compile(r"/\.|\.\.|__pycache__|\.(pyc|exe|dll|so|dylib|bat|sh|ps1|cmd)$|\\")
    assert [name for name in package.namelist() if forbidden.search(name)] == []


def test_package_is_small_enough_to_upload(package: zipfile.ZipFile) -> None:
    assert Path(str(package.filename)).stat().st_size < MAX_ZIP_BYTES
