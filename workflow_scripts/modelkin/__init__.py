"""modelkin: which image classifiers have learned the same thing?

What a notebook needs is here by name; everything else stands in the modules. Nothing is imported
before it is used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["datasets", "images", "measures", "models", "probes", "training"],
    submod_attrs={
        "clusters": ["affinity", "spectral"],
        "errors": ["ModelkinError"],
        "inversion": ["invert"],
        "measures": ["compare"],
        "models": ["load_model"],
    },
)
