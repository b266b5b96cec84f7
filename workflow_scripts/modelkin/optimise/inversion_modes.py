"""The modes of inversion and their defaults, the only place where these stand. Imports nothing.

The published step and number of steps are those of jones2022 for images of 224 pixels.
"""

DEFAULTS: dict[str, dict] = {
    "published": {
        "steps": 2000,
        "step_size": 0.125,
        "momentum": 0.9,
        "schedule": "constant",
        "stop_below": None,
    },
    "fast": {
        "steps": 500,
        "step_size": 0.125,
        "momentum": 0.9,
        "finish_below": 0.05,
        "memory": 8,
        "stop_below": 0.005,
    },
}

# The keys that each mode does not take, though another one does.
FOREIGN = {
    mode: {key for other in DEFAULTS.values() for key in other} - own.keys() for mode, own in DEFAULTS.items()
}

# Of an inversion's steps, the share that is taken in the mean before images are finished; docs/modes.md.
STEPS_TAKEN = {"published": 1.0, "fast": 0.4}

# Descents of an image that fails and is tried again: the first, one with leaky gradients, and one from there.
TRIES = 3

# Steps of the tries after the first, as a share of all images' steps, for plans alone: the mean of 36 models
# in docs/modes.md, seven of them taken as none. Measured in the published mode; a guess in the fast one.
RESCUING = {"published": 0.66, "fast": 0.66}
