"""The networks of the twins' checkpoints: modelkin's small architectures, as files have them."""

from modelkin.networks import building

SHAPE = {"channels": 1, "size": 16, "classes": 10, "width": 4, "representation": 16}


def built(architecture):
    """What builds a network of that architecture, its weights random."""
    return lambda: building.new_model(architecture, **SHAPE).network


NETWORK = {name: built(name) for name in ("depthwise", "mixer", "residual", "vgg", "vit")}
