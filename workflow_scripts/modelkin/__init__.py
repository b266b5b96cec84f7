"""modelkin: which image classifiers have learned the same thing?

What a notebook needs is here by name; everything else stands in the modules. Nothing is imported
before it is used.
"""

import os
from typing import TYPE_CHECKING

import lazy_loader

# Read when torch is first imported: threads that wait must sleep, not spin, where others share the cores, or
# small networks are many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:  # for tools, which do not see what is imported later; a test compares the two
    from modelkin import analysis, comparison, data, layers, networks, optimise, store, training
    from modelkin.analysis.clusters import affinity, spectral
    from modelkin.comparison.measures import compare
    from modelkin.data.images import Images, load_images
    from modelkin.errors import ModelkinError
    from modelkin.layers.maps import layer_map
    from modelkin.networks.building import from_source
    from modelkin.networks.weights import load_model, load_snapshot
    from modelkin.optimise.inversion import invert
    from modelkin.store.arrays import open_dataset

__version__ = "0.2.0.dev0"

__all__ = [
    "Images",
    "ModelkinError",
    "affinity",
    "analysis",
    "compare",
    "comparison",
    "data",
    "from_source",
    "invert",
    "layer_map",
    "layers",
    "load_images",
    "load_model",
    "load_snapshot",
    "networks",
    "open_dataset",
    "optimise",
    "spectral",
    "store",
    "training",
]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["analysis", "comparison", "data", "layers", "networks", "optimise", "store", "training"],
    submod_attrs={
        "analysis.clusters": ["affinity", "spectral"],
        "comparison.measures": ["compare"],
        "data.images": ["Images", "load_images"],
        "errors": ["ModelkinError"],
        "layers.maps": ["layer_map"],
        "networks.building": ["from_source"],
        "networks.weights": ["load_model", "load_snapshot"],
        "optimise.inversion": ["invert"],
        "store.arrays": ["open_dataset"],
    },
)
