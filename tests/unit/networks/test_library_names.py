"""What names are read off libraries' files is what the libraries themselves say."""

import subprocess
import sys
import types

import pytest
import timm
from torchvision import models

from modelkin.errors import ModelkinError
from modelkin.networks import sources
from modelkin.networks.own_files import read_names
from modelkin.networks.sources import base

ZOO = """
linf = OrderedDict([
    ('Wang2023Better', {
        'model': lambda: None,
    }),
    ('Standard', {'model': None}),
])
"""


def refuse_to_import(*arguments, **more):
    raise AssertionError("the library was asked")


def test_every_name_of_timm_is_read_off_its_files():
    text = base.library_text("timm", "models")
    assert [name for name in timm.list_models() if f"@register_model\ndef {name}(" not in text] == []


def test_torchvisions_architectures_and_weights_are_read_off_its_files():
    known = {
        name: set(models.get_model_weights(name).__members__) for name in models.list_models(module=models)
    }
    assert sources.get("torchvision")._read_names() == known


@pytest.mark.parametrize("family", ["cifar", "imagenet"])
def test_names_of_the_robustness_library_are_accepted_without_importing_it(family, monkeypatch):
    source = sources.get("robustness")
    names = {*source._library(family)} - (
        {"conv1x1", "conv3x3", "make_layers"} if family == "imagenet" else set()
    )
    assert "resnet50" in names
    monkeypatch.setattr(source, "_check_name", refuse_to_import)
    for name in names:
        source.check({"architecture": f"{family}/{name}", "weights": "x.pt"})


def test_right_names_need_no_library_in_a_fresh_process():
    code = """
import sys
from modelkin.networks import sources
sources.get("timm").check({"architecture": "resnet50.a1_in1k"})
sources.get("torchvision").check({"architecture": "resnet50", "weights": "IMAGENET1K_V2"})
sources.get("robustness").check({"architecture": "cifar/resnet18", "weights": "x.pt"})
sources.get("file").check({"architecture": "timm:vit_tiny_patch16_224", "weights": "x.pt"})
assert not {"torch", "timm", "torchvision", "robustness"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_robustbench_where_it_is_installed(tmp_path, monkeypatch):
    source = sources.get("robustbench")
    (tmp_path / "robustbench" / "model_zoo").mkdir(parents=True)
    (tmp_path / "robustbench" / "__init__.py").touch()
    (tmp_path / "robustbench" / "model_zoo" / "cifar10.py").write_text(ZOO)
    monkeypatch.syspath_prepend(tmp_path)
    base.library_text.cache_clear()
    source.check({"architecture": "Wang2023Better"})
    assert sources.missing("robustbench", architecture="Standard") == []
    with pytest.raises(ModelkinError, match="RobustBench 'Wang2032Better'; did you mean 'Wang2023Better'"):
        source.check({"architecture": "Wang2032Better"})
    base.library_text.cache_clear()


def test_robustbench_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "robustbench", types.ModuleType("robustbench"))  # of no file
    base.library_text.cache_clear()
    source = sources.get("robustbench")
    source.check({"architecture": "Anything"})  # nobody can tell
    assert "is not installed" in sources.missing("robustbench", architecture="Anything")[0]
    base.library_text.cache_clear()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def net(): pass", {"net": None}),
        ("class Net: deep = 1", {"Net": None}),
        ("T = {'a': 1, 'b': 2}", {"T": {"a", "b"}}),
        ("T = dict(a=1)\nnet = T['a']", {"T": {"a"}, "net": None}),
        ("T = {'a': 1}\nT['b'] = 2", {"T": None}),
        ("T = {'a': 1}\nT.update(b=2)", {"T": None}),
        ("T = {'a': 1}\nT |= {'b': 2}", {"T": None}),
        ("T = {}\ndef put(f):\n    T[f] = f\n@put\ndef net(): pass", {"T": None, "put": None, "net": None}),
        ("T = {**{'a': 1}}", {"T": None}),
        ("T = {'a': 1}\ndef get(k): return T[k]", {"T": {"a"}, "get": None}),
        ("try:\n    import a.b as c\nexcept ImportError:\n    c = None", {"c": None}),
        ("for i in x: net = i", {"i": None, "net": None}),
        ("from nets import net as mine", {"mine": None}),
        ("from nets import *", None),
        ("globals()['net'] = 1", None),
        ("import sys\nsys.modules['x'].net = 1", None),
        ("def make():\n    global net\n    net = 1\nmake()", None),
        (
            "class Net:\n    def __init__(self):\n        for m in self.modules(): setattr(self, 'a', m)",
            {"Net": None},
        ),
    ],
)
def test_what_a_file_defines(text, names):
    assert read_names(text) == names


def test_a_callable_that_is_not_in_the_file(tmp_path):
    path = tmp_path / "nets.py"

    def check(text, name):
        path.write_text(text)
        sources.get("file").check({"architecture": f"{path}:{name}", "weights": "x.pt"})

    nets = "raise SystemExit('it was run')\ndef small(): pass\ndef _own(): pass\nTABLE = {'deep': small}\n"
    check(nets, "small")
    check(nets, "TABLE[deep]")
    check("from elsewhere import *", "anything")
    for name, said in {
        "smal": "unknown callable in .*nets.py 'smal'; did you mean 'small'",
        "TABLE[dep]": "unknown key of TABLE in .*nets.py 'dep'; did you mean 'deep'",
        "TABEL[deep]": "did you mean 'TABLE'",
    }.items():
        with pytest.raises(ModelkinError, match=said):
            check(nets, name)
    with pytest.raises(ModelkinError, match=r"nets.py is not Python: .* \(line 2\)\.$"):
        check("def a():\n    return (", "a")
