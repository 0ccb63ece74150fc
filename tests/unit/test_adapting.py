"""Fine-tuning with all that may follow it, and nothing left behind where it fails."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from networks import TINY, save_network

from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError, SpecklessError
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import adapting, publishing
from speckless.plugin.jobs.adapting import AdaptJob
from speckless.plugin.jobs.finetuning import FineTuneJob
from speckless.plugin.jobs.places import detail

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import digests, make_raster  # noqa: E402


def silent(part, text):
    del part, text


def never():
    return False


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("model") / "tiny.safetensors", TINY, title="Tiny")


@pytest.fixture
def job(tmp_path, model):
    out = tmp_path / "out"
    out.mkdir()
    clean = np.full((64, 72), 0.1)
    clean[20:50, 30:60] = 0.5
    noisy = clean * simulate_speckle(clean.shape, 4.0, np.random.default_rng(0))
    path = make_raster(tmp_path / "sc <i>ne.tif", noisy.astype(np.float32))

    def make(tuning=None, **values):
        settings = {
            "looks": 4.0, "epochs": 1, "learning_rate": 1e-3, "augment": False, "depth": "head",
            "model_file": str(model), "domain": "intensity", "device": "cpu", **(tuning or {}),
        }  # fmt: skip
        return AdaptJob(FineTuneJob(path, str(out / "tuned.safetensors"), **settings), **values)

    return make


class Text(HTMLParser):
    """Text and tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags = "", []
        self.feed(page)

    def handle_data(self, data):
        self.words += data

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)


def test_all_is_made(job, tmp_path):
    out, models = tmp_path / "out", tmp_path / "profile" / "models"
    parts = []
    result = job(
        despeckled=str(out / "x.tif"), report=str(out / "r.html"), list_folder=str(models),
        extent=Window(5, 5, 40, 30),
    ).run(lambda part, text: parts.append(part), never)  # fmt: skip
    assert sorted(p.name for p in out.iterdir()) == ["r.html", "tuned.safetensors", "x.tif"]
    assert result.tuned.path == str(out / "tuned.safetensors")
    assert load_model(result.tuned.path).card.id == "tuned"
    assert result.listed == str(models / "tuned.safetensors")
    assert (models / "tuned.safetensors").read_bytes() == (out / "tuned.safetensors").read_bytes()
    dataset = gdal.Open(result.despeckled.paths["OUTPUT"])
    assert (dataset.RasterXSize, dataset.RasterYSize) == (40, 30)
    assert dataset.GetMetadataItem("SPECKLESS_MODEL") == "tuned"
    assert parts == sorted(parts) and parts[-1] == 1.0


def test_report_tells_what_was_done(job, tmp_path):
    report = tmp_path / "out" / "r.html"
    result = job({"seed": 11, "stride": 1}, report=str(report)).run(silent, never).tuned
    page = Text(report.read_text(encoding="utf-8"))
    assert "Fine-tuning on sc <i>ne.tif" in page.words and "i" not in page.tags
    card = ModelCard.read(result.path)
    for fact in (
        card.tensors_sha256, card.training["parent_sha256"], "tiny", "Seed11", "head", "FT, none",
        f"Best epoch{result.tuned.best_epoch} of 1 done", "4 (given)", "intensity",
    ):  # fmt: skip
        assert fact in page.words, fact
    assert page.tags.count("img") == 7  # three images, two maps of a, two ratios
    assert page.tags.count("svg") == 3  # two charts, a colour bar
    shown = re.search(r"Risk before([\d.]+) ± ", page.words)
    assert float(shown[1]) == pytest.approx(result.risk_before, rel=0.05)


def test_ids_do_not_collide_in_the_list(job, tmp_path):
    models = tmp_path / "models"
    ids = []
    for seed in range(2):
        done = job({"seed": seed, "model_id": "mine"}, list_folder=str(models)).run(silent, never)
        ids.append(done.tuned.tuned.card.id)
    assert ids == ["mine", "mine-2"]
    found = {p.stem: ModelCard.read(p).id for p in models.iterdir()}
    assert found == {name: name for name in ids}
    assert ModelCard.read(tmp_path / "out" / "tuned.safetensors").id == "mine-2"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("cut_crop", Cancelled("stop")), ("tuning_page", ValueError("a bug")),
        ("DespeckleJob", RasterError("disk")),
    ],
)  # fmt: skip
def test_failure_after_the_tuning_leaves_nothing(job, tmp_path, monkeypatch, step, error):
    def fail(*args, **kwargs):
        raise error

    out = tmp_path / "out"
    (out / "tuned.safetensors").write_bytes(b"older")
    before = digests(out)
    monkeypatch.setattr(adapting, step, fail)
    wanted = job(
        despeckled=str(out / "x.tif"), report=str(out / "r.html"),
        list_folder=str(tmp_path / "models"),
    )  # fmt: skip
    with pytest.raises(type(error)):
        wanted.run(silent, never)
    assert digests(out) == before
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"report": "/no/folder/r.html"}, "There is no folder /no/folder"),
        ({"report": "/tmp"}, "is a folder"),
        ({"despeckled": "/no/folder/x.tif"}, "There is no folder /no/folder"),
        ({"list_folder": "/dev/null/models"}, "cannot be made"),
    ],
    ids=str,
)
def test_outputs_are_looked_at_before_the_tuning(job, monkeypatch, values, complaint):
    def fail(*args, **kwargs):
        raise AssertionError("tuned in vain")

    monkeypatch.setattr(FineTuneJob, "run", fail)
    with pytest.raises(SpecklessError, match=complaint):
        job(**values).run(silent, never)


def test_start_and_output_are_not_the_same_file(job, model):
    wanted = job()
    with pytest.raises(InvalidInput, match="must not overwrite"):
        AdaptJob(FineTuneJob(wanted.tuning.input, str(model), model_file=str(model))).run(
            silent, never
        )


def test_disk_that_is_full_leaves_nothing(job, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publishing, "publish", full)
    with pytest.raises(RasterError, match="No space left"):
        job().run(silent, never)
    assert not list((tmp_path / "out").iterdir())


def test_detail_is_edges_not_speckle():
    rng = np.random.default_rng(0)
    speckle = rng.gamma(4, 0.25, (64, 64))
    edges = np.where((np.arange(64) // 8) % 2, 1.0, 5.0)[:, None] * np.ones(64)
    valid = np.ones((64, 64), bool)
    assert detail(edges * speckle, valid) > 1.5 * detail(speckle, valid)
    spot = speckle.copy()
    spot[30:34, 30:34] = 1e5
    assert detail(spot, valid) < detail(edges * speckle, valid)
    half = valid.copy()
    half[:, 20:] = False
    assert detail(edges * speckle, half) < detail(edges * speckle, valid)
    assert detail(speckle[:3, :3], valid[:3, :3]) == 0.0
    assert detail(speckle, ~valid) == 0.0
