"""A hand-written loop for speed: jitted initialisation, data on the device, and many steps in one `lax.scan`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from common import Job, load
from haiku_parts import count, parts

job = Job()
init, update = parts(job.work)
chunk = job.chunk(job.steps // 2)  # so that a chunk ends in the middle of the run
if job.work == "W2":
    x, order = np.zeros((1, 2), np.float32), np.arange(job.steps)
    key = jax.random.key(1)

    def draw(step):
        mode_key, noise_key = jax.random.split(jax.random.fold_in(key, step))
        angles = jax.random.randint(mode_key, (job.batch,), 0, 8) * jnp.pi / 4
        centres = 2 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1)
        return (centres + 0.05 * jax.random.normal(noise_key, centres.shape),)

    fetch = draw

else:
    x, y = map(jnp.asarray, load(job.work, job.path))
    rng, needed = np.random.default_rng(0), job.steps * job.batch
    epochs = [rng.permutation(len(x)) for _ in range(-(-needed // len(x)))]
    order = np.concatenate(epochs)[:needed].reshape(job.steps, job.batch)
    fetch = lambda rows: (x[rows], y[rows])


@functools.partial(jax.jit, donate_argnums=0)
def advance(carry, items):
    return jax.lax.scan(lambda carry, item: update(carry, fetch(item)), carry, items)


carry = jax.jit(init)(jax.random.key(0), x[:1])
for step in range(0, job.steps, chunk):
    carry, metrics = advance(carry, order[step : step + chunk])
    job.tick(step + chunk, metrics[0][-1])
job.finish(count(job.work, carry))
