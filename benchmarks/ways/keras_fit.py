"""Keras 3 on JAX: `fit`, with many steps per execution."""

import math
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from common import Job, load, ring
from keras import layers


def mlp(inputs, sizes, outputs):
    hidden = [layers.Dense(size, "relu") for size in sizes]
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(outputs)])


def cnn():
    blocks = [keras.Input((28, 28, 1))]
    for channels in (32, 64):
        blocks += [layers.Conv2D(channels, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential([*blocks, layers.Flatten(), layers.Dense(10)])


class GAN(keras.Model):
    """A GAN: `compile` receives the discriminator's optimizer, and the model contains the generator's."""

    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.adam = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self.adam.build(generator.trainable_variables)
        self.slots = self.adam.variables  # some of the variables that `train_step` receives and returns
        self.built = True

    def call(self, data):
        """Returns the discriminator's outputs for fake examples; Keras calls this to build the model."""
        return self.discriminator(self.generator(data[1]))

    def train_step(self, state, data):
        """Updates the discriminator, then the generator."""
        trained, slots, opt_variables, metrics = state
        real, first, second = data[0]
        players = len(self.generator.trainable_variables)
        g, d = trained[:players], trained[players:]
        generate = lambda g, latents: self.generator.stateless_call(g, [], latents)[0]
        discriminate = lambda d, x: self.discriminator.stateless_call(d, [], x)[0]
        fake = generate(g, first)
        d_loss = lambda d: (
            jax.nn.softplus(-discriminate(d, real)) + jax.nn.softplus(discriminate(d, fake))
        ).mean()
        d, opt_variables = self.optimizer.stateless_apply(opt_variables, jax.grad(d_loss)(d), d)
        g_loss = lambda g: jax.nn.softplus(-discriminate(d, generate(g, second))).mean()
        value, grads = jax.value_and_grad(g_loss)(g)
        g, slots = self.adam.stateless_apply(slots, grads, g)
        return {"loss": value}, ([*g, *d], slots, opt_variables, metrics)


class Clock(keras.callbacks.Callback):
    """A callback that passes each execution to the job."""

    def on_train_batch_end(self, batch, logs=None):
        """Counts the steps of all epochs."""
        job.tick(epoch_steps * self.epoch + batch + 1, (logs or {})["loss"])

    def on_epoch_begin(self, epoch, logs=None):
        """Stores the number of the epoch."""
        self.epoch = epoch


job = Job()
if job.work == "W2":
    rng = np.random.default_rng(0)
    rows = job.steps * job.batch
    latents = [rng.standard_normal((rows, 8), np.float32) for _ in range(2)]
    model, fit = GAN(mlp(8, [128] * 3, 2), mlp(2, [128] * 3, 1)), ((ring(rng, rows), *latents),)
    optimizer, loss = keras.optimizers.Adam(1e-3, beta_1=0.5), None
    optimizer.build(model.discriminator.trainable_variables)
else:
    x, y = load(job.work, job.path)
    rows = len(x) - len(x) % job.batch
    model, fit = mlp(64, [128, 128], 10) if job.work == "W1" else cnn(), (x[:rows], y[:rows])
    optimizer, loss = "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
epoch_steps = min(rows // job.batch, job.steps)
model.compile(optimizer, loss, metrics=[], steps_per_execution=job.chunk(epoch_steps))
model.fit(
    *fit,
    batch_size=job.batch,
    epochs=job.steps // epoch_steps,
    callbacks=[Clock()],
    verbose=0,
    shuffle=job.work != "W2",
)
job.finish(sum(math.prod(values.shape) for values in model.trainable_variables))
