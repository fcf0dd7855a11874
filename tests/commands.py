"""Small runs of each scenario, which many tests share."""

SMALL = ["net.hidden_sizes=[8]", "loop.log_every=2", "loop.evaluate_every=4", "loop.save_every=4"]
COMMANDS = {
    "supervised": ["dataset=iris", "dataset.batch_size=8", "steps=9", *SMALL],
    "regression": ["scenario=regression", "dataset.batch_size=8", "steps=9", *SMALL],
    "gan": ["scenario=gan", "dataset.batch_size=8", "evaluation.size=64", "steps=9", *SMALL],
}
