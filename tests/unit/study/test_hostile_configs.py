"""Configs and tables that are made to hang, to fill memory or to end in a traceback."""

import copy
import os

import numpy as np
import pytest
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.study.component_table import read_component_table
from modelkin.study.config import Study
from modelkin.study.imported import read_imported

READERS = {
    "imported": lambda path: read_imported(path, ["a", "b"]),
    "components": lambda path: read_component_table(path, ["a", "b"], ["a", "b"]),
}


@pytest.fixture(params=["a pipe", "a device", "a folder", "nothing", "an empty file", "a huge file"])
def odd(request, tmp_path):
    """A path that is no table; opening the first two would never end."""
    path = tmp_path / "x.csv"
    make = {
        "a pipe": lambda: os.mkfifo(path),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "a folder": path.mkdir,
        "nothing": lambda: None,
        "an empty file": path.touch,
        "a huge file": lambda: (path.touch(), os.truncate(path, 10**12)),
    }
    make[request.param]()
    return path


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_table_is_not_opened(odd, reader):
    with pytest.raises(ModelkinError) as caught:
        READERS[reader](odd)
    assert str(odd) in str(caught.value)


def config(**changes):
    return {**copy.deepcopy(TINY), **changes}


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"name": "npz", "test": ["x"]}, "npz: test must be a text, not \\['x'\\]"),
        ({"name": "npz", "test": {"x": 1}}, "npz: test must be a text"),
        ({"name": "npz", "test": "x", "classes": [1]}, "npz: classes must be a list of texts"),
        ({"name": "digits", "size": "8"}, "digits: size must be a whole number, not '8'"),
        ({"name": "digits", "size": True}, "digits: size must be a whole number, not True"),
        ({"name": "digits", "size": 8.5}, "digits: size must be a whole number"),
        ({"name": "folder", "test": "x", "size": None}, "folder: size must be a whole number, not None"),
        ({"name": "folder", "test": "x", "size": 8, "skip_corrupt": 1}, "skip_corrupt must be true or false"),
        ({"name": "torchvision", "dataset": 3, "root": "x"}, "torchvision: dataset must be a text"),
        ({"name": ["npz"]}, "dataset.name must be of type string"),
        (["digits"], "dataset must be of type object"),
    ],
)
def test_settings_of_another_type_are_refused_in_a_sentence(dataset, said):
    with pytest.raises(ModelkinError, match=said):
        Study(config(dataset=dataset))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a", "a.json"), "models 'a' and 'a.json' cannot be in one study"),
        (("a.left_out", "a"), "models 'a' and 'a.left_out' cannot be in one study"),
        (("a", "A.json"), "models 'a' and 'A.json' cannot be in one study"),
        (("vgg", "VGG"), "models 'vgg' and 'VGG' differ only in upper and lower case"),
    ],
)
def test_names_that_are_those_of_other_files(names, said):
    models = [{"name": name, "source": "train", "architecture": "vgg"} for name in names]
    with pytest.raises(ModelkinError, match=said):
        Study(config(models=models, distillation={"student": names[0]}))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\n", "../a", "a b", ".a", "a" * 81])
@pytest.mark.parametrize(
    "what", ["a model", "the study", "a dataset", "another dataset", "an attack", "a table"]
)
def test_a_name_is_of_plain_letters(what, name):
    asked = {
        "a model": {"models": [{**TINY["models"][0], "name": name}, *TINY["models"][1:]]},
        "the study": {"study": name},
        "a dataset": {"dataset": {**TINY["dataset"], "label": name}},
        "another dataset": {"other_datasets": [{**TINY["dataset"], "label": name}]},
        "an attack": {"adversarial": [{"label": name, "radius": 0.1}]},
        "a table": {"imported": [{"label": name, "file": "x.csv"}]},
    }
    with pytest.raises(ModelkinError, match="is not usable as a name|is too long"):
        Study(config(**asked[what]))


@pytest.mark.parametrize("study", ["README.md", "readme.MD", "calibration.json", "a.zip"])
def test_a_study_that_is_called_like_another_file(study):
    with pytest.raises(ModelkinError, match="is the name of another file in results"):
        Study(config(study=study))


def test_images_of_one_pixel_are_refused_before_anything_runs(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((100, 1, 1), np.uint8), y=np.arange(100) % 10)
    dataset = {"name": "npz", "test": str(tmp_path / "x.npz"), "train": str(tmp_path / "x.npz")}
    with pytest.raises(ModelkinError, match="'vgg-0': vgg takes images of 4 pixels .* and these have 1"):
        Study({**TINY, "dataset": dataset})
    models = [{"name": name, "source": "train", "architecture": "mlp"} for name in ("a", "b")]
    config = {key: value for key, value in TINY.items() if key != "distillation"}
    assert Study({**config, "dataset": dataset, "models": models}).shape("npz") == (1, 1, 1)
