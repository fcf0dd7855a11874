"""The classes of runner in code: no configuration, no files."""

import jax
import optax
from common import Job

from runner import Loop, datasets, nets
from runner.losses import non_saturating
from runner.scenarios import GAN, Supervised

NETS = {
    "W1": lambda: nets.mlp((10,)),
    "W3": lambda: nets.cnn((10,), hidden_sizes=()),
    "W4": lambda: nets.resnet((10,), channels=(64, 128, 256, 512), blocks=2),
}


class Clock:
    """A writer that passes each record to the job."""

    def write(self, step, metrics, figures):
        """Passes the first metric to the job; metrics are empty if none are due."""
        for value in list(metrics.values())[:1]:
            job.tick(step, value)


job = Job()
if job.work == "W2":
    scenario = GAN(
        generator=nets.mlp((2,), (128, 128, 128)),
        discriminator=nets.mlp((), (128, 128, 128)),
        generator_optimizer=optax.adam(1e-3, b1=0.5),
        discriminator_optimizer=optax.adam(1e-3, b1=0.5),
        loss=non_saturating,
        latent_size=8,
    )
    data = datasets.ring(batch_size=job.batch)
else:
    scenario = Supervised(NETS[job.work](), optax.adam(1e-3), optax.softmax_cross_entropy_with_integer_labels)
    digits = job.work == "W1"
    data = datasets.digits(job.batch) if digits else datasets.npz(job.path, batch_size=job.batch)
every = 100 if job.steps > 2000 else 8 if job.steps > 100 else 1
state = Loop(job.steps, log_every=every).run(scenario, data, key=jax.random.key(0), writers=[Clock()])
trained = (state.generator, state.discriminator) if job.work == "W2" else (state.net,)
job.finish(sum(leaf.size for net in trained for leaf in jax.tree.leaves(net.params)))
