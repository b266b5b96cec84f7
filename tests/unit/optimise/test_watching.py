"""Whoever waits for an inversion sees how far it is, and torch's threads do not spin."""

import io
import os
import subprocess
import sys

import pytest
import torch

from modelkin import invert
from modelkin.optimise import watching
from modelkin.optimise.inversion import published


class Flat:
    def representation(self, images):
        return images.flatten(1) + 1


def inverted(**more):
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return invert(Flat(), images[:3], images[3:], published(steps=3), **more)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_at_a_terminal(monkeypatch):
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    watched = inverted()
    assert "inverting: 100%" in stderr.getvalue()
    assert "3/3" in stderr.getvalue()
    assert "loss=" in stderr.getvalue()
    monkeypatch.setattr(watching, "is_watched", lambda: False)
    assert torch.equal(inverted().images, watched.images)


def test_no_bar_in_a_job_nor_beside_ones_own_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    inverted()
    assert not sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", Terminal())
    told = []
    inverted(progress=lambda *said: told.append(said))
    assert told
    assert not sys.stderr.getvalue()


@pytest.mark.parametrize(("chosen", "holds"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(chosen, holds):
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": chosen} if chosen else {}
    code = "import modelkin, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [holds, "False"], done.stderr
