"""Make the twins' checkpoints and photographs anew: `python studies/twins/make.py` (in five minutes).

They are committed, so that the twins take models from files as the full studies do. eps is the L2 radius of
adversarial training; of each standard model there are two, trained from different starts.
"""

from pathlib import Path

import numpy as np
from networks import NETWORK, SHAPE
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from modelkin import seeds
from modelkin.data import datasets
from modelkin.study.config import Study
from modelkin.training import fit

HERE = Path(__file__).parent
LEVELS = {"0": 0, "0b": 0, "0.25": 0.25, "1": 1}


def made() -> Study:
    """A study of all of them, for its defaults."""
    models = [
        {"name": f"{architecture}-{level}", "source": "train", "architecture": architecture, "eps": eps}
        for architecture in NETWORK
        for level, eps in LEVELS.items()
    ]
    sizes = {key: SHAPE[key] for key in ("width", "representation")}
    return Study(
        {
            "study": "twins",
            "dataset": {"name": "digits", "size": SHAPE["size"]},
            "models": models,
            "training": {"epochs": 24, **sizes},
            "measures": ["linear_cka"],
        }
    )


def photographs() -> None:
    """100 grey squares of each of scikit-learn's two photographs, CC BY 2.0.

    They are flickr.com/photos/danielbuechele/6061409035 and flickr.com/photos/vultilion/6056698931.
    """
    rng = np.random.default_rng(0)
    squares = [
        _squares(Image.fromarray(photo).convert("L"), 100, rng) for photo in load_sample_images().images
    ]
    labels = np.repeat(np.arange(len(squares)), 100)
    np.savez_compressed(HERE / "photos.npz", x=np.concatenate(squares), y=labels)


def _squares(photo: Image.Image, number: int, rng: np.random.Generator) -> np.ndarray:
    """Squares of 64 pixels at random places (number, size, size), scaled down to the digits' size."""
    corners = rng.integers([photo.width - 64, photo.height - 64], size=(number, 2))
    cut = [photo.crop((x, y, x + 64, y + 64)).resize((SHAPE["size"],) * 2) for x, y in corners]
    return np.stack([np.asarray(square) for square in cut])


def main() -> None:
    photographs()
    study = made()
    splits = datasets.load(**study.settings(study.dataset))
    for name in study.names:
        model, history = fit.train(
            splits["train"],
            splits["test"],
            study.training(name),
            seed=seeds.derive_seed(study.seed, "train", name),
            device="cpu",
        )
        weights = {key: value.contiguous() for key, value in model.network.state_dict().items()}
        save_file(weights, HERE / "digits" / f"{name}.safetensors")
        normalised = [round(float(value), 4) for value in (model.mean.flatten()[0], model.std.flatten()[0])]
        print(name, "mean and std", normalised, "last epoch", history[-1], flush=True)


if __name__ == "__main__":
    main()
