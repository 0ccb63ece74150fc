from __future__ import annotations

from pathlib import Path

import pytest

from speckless.plugin.toolbelt.privacy import without_home, without_paths


def test_home_is_not_named() -> None:
    home = Path("/home/ada")
    text = "It runs in /home/ada/envs/torch/bin/python."
    assert without_home(text, home) == "It runs in ~/envs/torch/bin/python."
    assert without_home("nothing", home) == "nothing"
    assert without_home("/a/b", Path("/")) == "/a/b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open /data/secret/scene.tif: gone", "cannot open …/scene.tif: gone"),
        ("'/a b' or '/data/x/y.tif'", "'/a b' or '…/y.tif'"),
        (r"no C:\Users\ada\scene.tif there", "no …/scene.tif there"),
        (r"no \\server\share\scene.tif there", "no …/scene.tif there"),
        ("~/envs/bin/python stays", "~/envs/bin/python stays"),
        (
            "1/2 and km/h and https://pytorch.org/get stay",
            "1/2 and km/h and https://pytorch.org/get stay",
        ),
    ],
)
def test_paths_are_cut(text: str, shown: str) -> None:
    assert without_paths(text) == shown
