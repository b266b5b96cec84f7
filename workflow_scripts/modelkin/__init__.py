"""modelkin: which image classifiers have learned the same thing?

What a notebook needs is here by name; everything else stands in the modules. Nothing is imported
before it is used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["analysis", "comparison", "data", "networks", "optimise", "store", "training"],
    submod_attrs={
        "analysis.clusters": ["affinity", "spectral"],
        "comparison.measures": ["compare"],
        "data.images": ["Images", "load_images"],
        "errors": ["ModelkinError"],
        "networks.building": ["from_source"],
        "networks.weights": ["load_model", "load_snapshot"],
        "optimise.inversion": ["invert"],
        "store.arrays": ["open_dataset"],
    },
)
