"""What the QGIS plugin repository checks before it takes a plugin, checked before we send it."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
# The repository's validator rejects a plugin without these.
REQUIRED = ["name", "description", "version", "qgisMinimumVersion", "author", "email", "about"]
REQUIRED += ["tracker", "repository"]
# And these are what its pages, QGIS's plugin manager and qgis_process read.
EXPECTED = ["homepage", "changelog", "qgisMaximumVersion", "tags", "category", "icon"]
EXPECTED += ["experimental"]


@pytest.fixture(scope="module")
def general() -> configparser.SectionProxy:
    # With interpolation, as the repository reads it: a stray % is an error.
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]


def version_tuple(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


@pytest.mark.parametrize("key", [*REQUIRED, *EXPECTED])
def test_key_is_filled(general: configparser.SectionProxy, key: str) -> None:
    assert general.get(key, "").strip()


def test_every_key_is_spelt_as_qgis_reads_it(general: configparser.SectionProxy) -> None:
    known = {*REQUIRED, *EXPECTED, "hasProcessingProvider", "deprecated", "server"}
    assert set(general) - known <= {"external_deps", "license"}


def test_version_is_semantic(general: configparser.SectionProxy) -> None:
    assert SEMVER.fullmatch(general["version"])


def test_qgis_versions_are_ordered_and_reach_qgis_4(general: configparser.SectionProxy) -> None:
    lowest = version_tuple(general["qgisMinimumVersion"])
    highest = version_tuple(general["qgisMaximumVersion"])
    assert lowest == (3, 22)
    assert lowest < (4, 0) < highest


def test_qgis_process_will_load_it(general: configparser.SectionProxy) -> None:
    assert general["hasProcessingProvider"] == "yes"


def test_flags_are_booleans(general: configparser.SectionProxy) -> None:
    for key in ("experimental", "deprecated", "server"):
        assert general[key] in ("True", "False"), key


def test_addresses_are_https(general: configparser.SectionProxy) -> None:
    for key in ("homepage", "tracker", "repository"):
        assert re.fullmatch(r"https://[\w.-]+(/[\w./-]*)?", general[key]), key


def test_author_and_mail_are_accepted_by_the_repository(
    general: configparser.SectionProxy,
) -> None:
    assert "/" not in general["author"]
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", general["email"])


def test_name_does_not_say_plugin(general: configparser.SectionProxy) -> None:
    assert "plugin" not in general["name"].lower()
    assert general["name"].lower().isidentifier()


def test_about_names_what_has_to_be_installed(general: configparser.SectionProxy) -> None:
    for package in general["external_deps"].split(","):
        assert f'"{package}"' in general["about"], package


def test_icon_is_a_drawing_that_qtsvg_can_render(general: configparser.SectionProxy) -> None:
    icon = (ROOT / general["icon"]).read_text(encoding="utf-8")
    assert icon.startswith("<svg ")
    # Qt 5's renderer silently ignores these.
    for element in ("clipPath", "filter", "mask", "<image", "<style"):
        assert element not in icon


def test_changelogs_tell_of_this_version(general: configparser.SectionProxy) -> None:
    version = general["version"]
    headings = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[0] == version
    assert version in general["changelog"]


def test_licence_is_gpl_2_or_later(general: configparser.SectionProxy) -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "either version 2 of the License, or (at your option) any later" in text
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert general["license"] == "GPL-2.0-or-later"


def test_sample_has_its_attribution() -> None:
    notes = (ROOT / "resources" / "samples" / "README.md").read_text(encoding="utf-8")
    for sample in (ROOT / "resources" / "samples").glob("*.tif"):
        assert sample.name in notes
        assert sample.stat().st_size < 1_000_000
    assert "Contains modified Copernicus Sentinel data" in notes
