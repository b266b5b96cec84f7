"""Threats beyond balls of pixels, against their definitions written out, and as attacks."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, signal
from torch.nn.functional import cross_entropy

from modelkin.errors import ModelkinError
from modelkin.optimise import threats
from modelkin.optimise.attacks import from_settings
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.optimise.threats import gabor, jpeg, snow

NAMES = [name for name in threats.names() if threats.get(name).perturbation is not None]
RADIUS = {name: threats.get(name).probe["radius"] for name in NAMES}


def images(channels=3, size=32, n=3):
    """Images away from black and white, where nothing is clipped by small changes."""
    return 0.3 + 0.4 * torch.rand(
        n, channels, size, size, generator=torch.manual_seed(0), dtype=torch.float64
    )


def drawn(name, x, seed=1):
    """The perturbation of a threat, its variables and what else was drawn, in float64."""
    perturbation = threats.get(name).perturbation
    return perturbation, *perturbation.draw(x, torch.Generator().manual_seed(seed))


# definitions written out


def jpeg_of(image, variables, radius):
    """Compress and decompress an image (c, h, w) in float, moving each quantised coefficient; scipy's DCT."""
    channels, height, width = image.shape
    pixels = 255 * image
    planes, tables = [pixels[0]], [jpeg.LUMINANCE]
    if channels == 3:
        r, g, b = pixels
        planes = [
            0.299 * r + 0.587 * g + 0.114 * b,
            -0.168736 * r - 0.331264 * g + 0.5 * b + 128,
            0.5 * r - 0.418688 * g - 0.081312 * b + 128,
        ]
        planes[1:] = [(p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in planes[1:]]
        tables += [jpeg.CHROMINANCE] * 2
    place, decoded = 0, []
    for plane, table in zip(planes, map(np.array, tables), strict=True):
        made = np.empty_like(plane)
        for row in range(0, plane.shape[0], 8):
            for column in range(0, plane.shape[1], 8):
                block = np.s_[row : row + 8, column : column + 8]
                quantised = fft.dctn(plane[block] - 128, norm="ortho") / table
                quantised += radius * 0.5 * variables[place : place + 64].reshape(8, 8)
                made[block] = fft.idctn(quantised * table, norm="ortho") + 128
                place += 64
        decoded.append(made)
    assert place == len(variables)
    if channels == 3:
        y, cb, cr = decoded[0], *(np.kron(p, np.ones((2, 2))) - 128 for p in decoded[1:])
        decoded = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
    return np.clip(np.stack(decoded) / 255, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_moves_quantised_coefficients(channels):
    x = images(channels, 16)
    perturbation, v, _ = drawn("jpeg", x)
    found = perturbation.apply(x, v, 25.0, ())
    for image, own, changed in zip(x.numpy(), v.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(changed, jpeg_of(image, own, 25.0), atol=1e-9)
    # Between decoded images, none of which was clipped, the distance is the length of the variables.
    plain, moved = (perturbation.apply(x, part, 1.0, ()) for part in (0 * v, v))
    length = torch.linalg.vector_norm(v, dim=1)
    torch.testing.assert_close(threats.get("jpeg").distance(plain, moved), length, rtol=1e-3, atol=0)


def gabor_of(image, points, kernel, radius, at=None):
    """Noise of the points (h, w), normalised as at other points where these are given."""
    fixed = signal.correlate2d(points if at is None else at, kernel, mode="same")
    noise = signal.correlate2d(points, kernel, mode="same")
    mean = fixed.mean()
    variance = np.fft.irfft2(np.fft.rfft2((fixed - mean) ** 2), s=fixed.shape)
    gain = 1.001 / (0.001 + np.sqrt(np.abs(variance)) / np.sqrt(np.abs(variance)).max())
    low, high = (extreme(mean + (fixed - mean) * gain) for extreme in (np.min, np.max))
    return np.clip(image + radius / 255 * (mean + (noise - mean) * gain - low) / (high - low), 0, 1)


def test_gabor_noise():
    x = images()
    perturbation, v, (kernels,) = drawn("gabor", x)
    assert ((v != 0).sum(dim=(1, 2, 3)) == round(32 * 32 / 14)).all()
    found = perturbation.apply(x, v, 75.0, (kernels,))
    for image, own, kernel, changed in zip(x.numpy(), v.numpy(), kernels.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(changed, gabor_of(image, own[0], kernel, 75.0), atol=1e-6)


def test_gabor_kernels():
    line = np.linspace(-0.5, 0.5, 23)
    wanted = np.zeros((23, 23))
    for row, y in enumerate(line):
        for column, x in enumerate(line):
            for side in range(3):
                angle = 0.7 + math.pi * side / 3
                along = x * math.cos(angle) + y * math.sin(angle)
                across = -x * math.sin(angle) + y * math.cos(angle)
                bell = math.exp(-0.5 * (along**2 + across**2) / (0.2 + 1e-3) ** 2)
                wanted[row, column] += bell * math.cos(2 * math.pi * 4.5 * along)
    np.testing.assert_allclose(gabor.gabor_kernel(3, 0.2, 4.5, 0.7).numpy(), wanted, atol=1e-5)


def snow_of(image, flakes, streaks, radius):
    """Snow of flakes (7, h / 4, w / 4), each map's on its own pixels."""
    height, width = image.shape[1:]
    fallen = np.zeros((height, width))
    for number, (own, line) in enumerate(zip(flakes**4, streaks, strict=True)):
        grid = np.zeros((height, width))
        down, right = (0, number) if number < 4 else (number - 3, 0)
        for row in range(down, height, 4):
            for column in range(right, width, 4):
                grid[row, column] = own[row // 4, column // 4]
        fallen += signal.correlate2d(grid, line, mode="same")
    return np.clip(image + radius * fallen, 0, 1)


@pytest.mark.parametrize("size", [32, 30])
def test_snow_falls_in_streaks(size):
    x = images(size=size)
    perturbation, v, (streaks,) = drawn("snow", x)
    found = perturbation.apply(x, v, 2.0, (streaks,))
    for image, own, lines, changed in zip(x.numpy(), v.numpy(), streaks.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(changed, snow_of(image, own, lines, 2.0), atol=1e-9)


@pytest.mark.parametrize(("down", "right", "width"), [(2, 6, 1), (6, 3, 3), (4, 4, 5)])
def test_a_streak_is_a_line_with_soft_edges(down, right, width):
    wanted = np.zeros((13, 13))
    long, short = max(down, right), min(down, right)
    thick = width * math.sqrt(1 + short / long) / 2
    for along in range(long + 1):
        for across in range(7):
            value = min(1.0, max(0.0, 1 + thick / 2 - abs(across - along * short / long)))
            row, column = (across, along) if right >= down else (along, across)
            wanted[6 + row, 6 + column] = wanted[6 - row, 6 - column] = value
    np.testing.assert_allclose(snow.streak(down, right, width).numpy(), wanted, atol=1e-6)
    weights = np.exp(-0.5 * (np.arange(-1, 2) / 0.5) ** 2)
    blurred = signal.convolve2d(wanted, np.outer(weights, weights) / weights.sum() ** 2, mode="same")
    np.testing.assert_allclose(snow.blurred(torch.tensor(wanted).float(), 0.5).numpy(), blurred, atol=1e-6)


# properties


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_within_their_set_after_projection_and_at_the_start(name):
    perturbation, v, _ = drawn(name, images(size=48))
    far = perturbation.project(v + torch.randn(v.shape, generator=torch.manual_seed(3)))
    for inside in (v, far):
        torch.testing.assert_close(perturbation.project(inside), inside)
        if name == "jpeg":
            assert (torch.linalg.vector_norm(inside, dim=1) <= 1 + 1e-9).all()
        elif name == "gabor":
            assert inside.abs().max() <= 1
        else:
            assert inside.min() >= 0
            assert inside.max() <= 1
            for rows, columns in [
                (slice(8), slice(8)),
                (slice(8, 12), slice(8)),
                (slice(8, 12), slice(8, 12)),
            ]:
                assert inside[:, :, rows, columns].mean(dim=(2, 3)).max() <= snow.BUDGET + 1e-9


@pytest.mark.parametrize(("name", "channels"), [(n, c) for n in NAMES for c in (1, 3)])
def test_nothing_is_changed_by_nothing(name, channels):
    """Colours alone are coarser after JPEG, whose averages over 2 x 2 pixels stay the same."""
    x = images(channels)
    perturbation, v, other = drawn(name, x)
    found = perturbation.apply(x, 0 * v, RADIUS[name], other)
    if name == "jpeg" and channels == 3:
        assert (found - x).abs().max() > 0.01
        grey = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        found, x = perturbation.apply(grey, 0 * v, RADIUS[name], other), grey
    torch.testing.assert_close(found, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    """Those of Gabor noise while what it is normalised by is held, as it is by definition."""
    x = images(1, 16, n=1)
    perturbation, v, other = drawn(name, x)
    weights = torch.randn(x.shape, generator=torch.manual_seed(5), dtype=x.dtype)
    radius = RADIUS[name] / 20
    moving = v.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad((weights * perturbation.apply(x, moving, radius, other)).sum(), moving)
    way = torch.randn(v.shape, generator=torch.manual_seed(6), dtype=x.dtype)

    def value(at):
        if name == "gabor":
            made = gabor_of(x[0].numpy(), at[0, 0].numpy(), other[0][0].numpy(), radius, v[0, 0].numpy())
            return float((weights[0] * torch.from_numpy(made)).sum())
        return float((weights * perturbation.apply(x, at, radius, other)).sum())

    step = 1e-5
    slope = (value(v + step * way) - value(v - step * way)) / (2 * step)
    assert float((gradient * way).sum()) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_changed_alike_in_every_batch_and_more_by_more_steps(name):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 3)).double()
    torch.manual_seed(4)
    torch.nn.init.normal_(network[1].weight, std=0.05)
    network.requires_grad_(False)
    x = images(size=16, n=6)
    y = network(x).argmax(1)

    def attacked(n, steps=5, seed=1):
        settings = {"steps": steps, "starts": 1, "step_size": 0.1}
        return from_settings("pgd", name, RADIUS[name], seed=seed, **settings)(network, x[:n], y[:n])

    torch.testing.assert_close(attacked(2), attacked(6)[:2], rtol=0, atol=1e-9)
    assert not torch.equal(attacked(2), attacked(2, seed=2))
    losses = [float(cross_entropy(network(attacked(6, steps)), y)) for steps in (1, 5, 20)]
    assert losses[0] < losses[1] < losses[2]


def test_what_jpeg_and_starts_at_the_image_are_not_for():
    with pytest.raises(
        ModelkinError, match="colour images of 24 x 24 pixels, whose sides 16 does not divide"
    ):
        threats.get("jpeg").perturbation.check((3, 24, 24))
    threats.get("jpeg").perturbation.check((1, 24, 24))
    with pytest.raises(ModelkinError, match="no start but random ones; use starts: 1"):
        untargeted(torch.nn.Flatten(), images(), torch.zeros(3), pgd_descent("snow", 2.0, 1, 0.1))
