"""One example over several devices gives what one device gives; the devices are simulated on the CPU."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
def test_outputs_loss_and_gradient_are_those_of_one_device(devices):
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", "tests.models.shared_example"]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)
    assert found.pop("devices") == devices
    assert len(found) == 9
    # Sums over nodes are made in another order.
    for name, apart in found.items():
        assert apart < 1e-5, (name, apart)
