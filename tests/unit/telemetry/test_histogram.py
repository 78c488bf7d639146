"""Histograms of durations, as Prometheus reads them."""

import pytest
from prometheus_client.core import HistogramMetricFamily

from mylist.telemetry.histogram import DurationHistogram, merge


def observed(*seconds: float) -> DurationHistogram:
    histogram = DurationHistogram()
    for each in seconds:
        histogram.observe(each)
    return histogram


def exposed(histogram: DurationHistogram) -> dict[str, float]:
    """Return the samples: buckets by their bound, the others by their suffix."""
    family = HistogramMetricFamily("a", "b", labels=["c"])
    histogram.expose(family, ["d"])
    return {sample.labels.get("le", sample.name.removeprefix("a_")): sample.value for sample in family.samples}


def test_a_bucket_counts_every_value_up_to_its_bound() -> None:
    samples = exposed(observed(0.004, 0.005, 0.02, 60))

    assert [samples[bound] for bound in ("0.0025", "0.005", "0.01", "0.025", "10.0", "+Inf")] == [0, 2, 2, 3, 3, 4]
    assert samples["count"] == 4
    assert samples["sum"] == pytest.approx(60.029)


def test_merged_histograms_add_up() -> None:
    together, apart = exposed(observed(0.004, 0.02, 60)), merge([observed(0.02), observed(60, 0.004), observed()])

    assert exposed(apart) == pytest.approx(together)
