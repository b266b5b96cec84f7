"""Activations and saliency maps against autograd by hand."""

import pytest
import torch
import xarray as xr

from modelkin.comparison.activations import compute_activations, saliency_chunks


def test_activations_by_hand(digits, standard):
    model, test = standard[0], digits["test"].select(digits["test"].ids[:20])
    found = compute_activations(model, test, batch_size=7)
    maps = xr.concat(list(saliency_chunks(model, test, batch_size=7)), "sample")["saliency"]
    x = torch.from_numpy(test.floats()).requires_grad_(True)
    logits = model(x)
    for i in range(3):
        loss = torch.nn.functional.cross_entropy(logits[i : i + 1], torch.from_numpy(test.labels[i : i + 1]))
        (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
        assert maps.to_numpy()[i] == pytest.approx(gradient[i].numpy(), abs=1e-6)
    assert found["logits"].to_numpy() == pytest.approx(logits.detach().numpy(), abs=1e-5)
    assert found["representation"].shape == (20, 16)
    assert found["sample"].to_numpy().tolist() == maps["sample"].to_numpy().tolist() == test.ids.tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(digits, standard):
    model, test = standard[0], digits["test"]
    cpu = compute_activations(model, test)
    gpu = compute_activations(model.cuda(), test, device="cuda")
    model.cpu()
    for name in cpu:
        assert gpu[name].to_numpy() == pytest.approx(cpu[name].to_numpy(), abs=1e-3)
