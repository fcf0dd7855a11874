"""Small runs of each scenario, which many tests share."""

EVERY = ["loop.log_every=2", "loop.evaluate_every=4", "loop.save_every=4", "steps=9"]
SMALL = ["net.hidden_sizes=[8]", "dataset.batch_size=8", *EVERY]
DRAWN = [*SMALL, "evaluation.size=64"]
COMMANDS = {
    "supervised": ["dataset=iris", *SMALL],
    "regression": ["scenario=regression", *SMALL],
    "gan": ["scenario=gan", *DRAWN],
    "ode_gan": ["scenario=ode_gan", *DRAWN],
    "diffusion": [
        *["scenario=diffusion", "net.size=8", "net.blocks=1", "dataset.batch_size=8", "evaluation.size=64"],
        *EVERY,
    ],
    "autoencoder": ["scenario=autoencoder", *SMALL],
    "vae": ["scenario=vae", *DRAWN],
    "language_model": [
        *[
            "scenario=language_model",
            "net.size=8",
            "net.layers=1",
            "dataset.size=4000",
            "dataset.batch_size=8",
        ],
        *["scenario.length=20", *EVERY],
    ],
    "ppo": [
        *["scenario=ppo", "net.hidden_sizes=[8]", "scenario.environments=4", "scenario.rollout=16"],
        *["scenario.episodes=3", *EVERY],
    ],
}
# The figures, in addition to the curves, that show what each has learned.
FIGURES = {
    "supervised": {"confusion", "reliability", "classes"},
    "regression": {"fit", "residuals"},
    "gan": {"samples"},
    "ode_gan": {"samples"},
    "diffusion": {"samples"},
    "autoencoder": {"reconstructions"},
    "vae": {"samples", "reconstructions"},
    "language_model": {"samples"},
    "ppo": set(),
}
