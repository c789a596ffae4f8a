"""What a run's speed is compared with."""

import json

import pytest
import torch
from toy import RECIPE

from seedx.train.engine import metrics, throughput
from seedx.train.engine.metrics import MetricsLogger
from seedx.train.planning.clusters import CLUSTERS


def test_the_peak_is_the_planners(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert throughput.stated_peak(cuda, torch.bfloat16) == CLUSTERS["h100"].tflops * 1e12
    assert throughput.stated_peak(cuda, torch.float32) is None  # the table has bf16
    assert throughput.stated_peak(cpu, torch.bfloat16) is None


def test_a_matrix_product_is_counted():
    a, b = torch.randn(8, 16), torch.randn(16, 4)
    assert throughput.count_flops(lambda: a @ b) == 2 * 8 * 16 * 4


@pytest.mark.parametrize("vendor", [None, 4e12])
def test_mfu_is_of_the_vendors_peak_and_utilization_of_the_measured_one(tmp_path, monkeypatch, vendor):
    monkeypatch.setattr(metrics, "measured_peak", lambda device, dtype: 2e12)
    monkeypatch.setattr(metrics, "stated_peak", lambda device, dtype: vendor)
    with MetricsLogger(tmp_path, RECIPE, 0, torch.device("cpu")) as log:
        log.flops = 10**12
        log.step(0, {"loss": 1.0}, {"samples": 1})
        log.since -= 1.0  # a second ago
        log.write(0, {})
    record = json.loads((tmp_path / "log.jsonl").read_text())
    assert record["utilization"] == pytest.approx(0.5, rel=0.2)
    assert ("mfu" in record) == (vendor is not None)
    if vendor:
        assert record["mfu"] == pytest.approx(record["utilization"] / 2, rel=1e-2)
