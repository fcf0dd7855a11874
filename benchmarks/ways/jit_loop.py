"""A hand-written loop as most users write it: eager initialisation, and one jitted call per step on a host batch."""

import jax
from common import Job, batches
from haiku_parts import count, parts

job = Job()
source = batches(job.work, job.batch, job.path)
init, update = parts(job.work)
carry = init(jax.random.key(0), next(source)[0])
update = jax.jit(update)
for step in range(1, job.steps + 1):
    carry, metrics = update(carry, next(source))
    if step % 100 == 0:
        print(step, *map(float, metrics))
    job.tick(step, metrics[0])
job.finish(count(job.work, carry))
