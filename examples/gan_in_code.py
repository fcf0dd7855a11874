"""A GAN on a ring of Gaussians, in code: no configuration, no command line, no run directory."""

import jax
import optax

from runner import Loop
from runner.datasets import ring
from runner.evaluators import Samples
from runner.losses import non_saturating
from runner.nets import mlp
from runner.scenarios import GAN


def main(steps: int = 6000) -> None:
    """Trains a GAN, prints how well it covers the ring, and draws its samples and the data."""
    data = ring(modes=8)
    gan = GAN(
        generator=mlp(output_shape=(2,)),
        discriminator=mlp(output_shape=()),
        generator_optimizer=optax.adam(1e-3, b1=0.5),
        discriminator_optimizer=optax.adam(1e-3, b1=0.5),
        loss=non_saturating,
        latent_size=8,
        r1=0.1,
        ema=0.995,
    )
    state = Loop(steps=steps).run(gan, data, key=jax.random.key(0))

    metrics, figures = Samples()(jax.random.key(1), gan, state, data.test)
    print(f"{metrics['modes']:.0f} of 8 modes; {metrics['high_quality']:.0%} of the points near one")
    figures["samples"]().savefig("ring.png")


if __name__ == "__main__":
    main()
