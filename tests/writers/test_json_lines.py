"""The bytes of a record."""

import json

from runner.writers import JsonLines


def test_the_order_that_metrics_are_given_in_does_not_change_a_byte(tmp_path):
    metrics = {"loss": 0.5, "accuracy": 0.25, "validation/loss": 1.5, "Zeta": 2.0, "é": 3.0}
    for folder, names in (("one", metrics), ("two", reversed(metrics))):
        writer = JsonLines(tmp_path / folder, weights="raw")
        writer.write(10, {name: metrics[name] for name in names}, {})
        writer.close()
    one, two = ((tmp_path / folder / "metrics.jsonl").read_bytes() for folder in ("one", "two"))
    assert one == two
    step, *names = json.loads(one)
    assert step == "step"
    assert names == [*sorted(metrics), "validation/weights"]
