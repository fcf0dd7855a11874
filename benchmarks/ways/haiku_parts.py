"""The nets and updates of both hand-written loops, in plain Haiku and optax."""

import haiku as hk
import jax
import jax.numpy as jnp
import optax


def mlp(sizes):
    return hk.transform_with_state(lambda x: hk.nets.MLP(sizes)(x))


def cnn(x):
    for channels in (32, 64):
        x = jax.nn.relu(hk.Conv2D(channels, 3)(x))
        x = hk.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return hk.Linear(10)(hk.Flatten()(x))


def normalize(x):
    return hk.BatchNorm(True, True, 0.9)(x, is_training=True)


def resnet18(x):
    x = jax.nn.relu(normalize(hk.Conv2D(64, 3, with_bias=False)(x)))
    for channels, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        shortcut = x
        if stride == 2:
            shortcut = normalize(hk.Conv2D(channels, 1, stride, with_bias=False)(x))
        x = jax.nn.relu(normalize(hk.Conv2D(channels, 3, stride, with_bias=False)(x)))
        x = jax.nn.relu(normalize(hk.Conv2D(channels, 3, with_bias=False)(x)) + shortcut)
    return hk.Linear(10)(x.mean((1, 2)))


NETS = {
    "W1": mlp([128, 128, 10]),
    "W3": hk.transform_with_state(cnn),
    "W4": hk.transform_with_state(resnet18),
}


def classifier(net):
    """Returns `init(key, x)` and `update(carry, (x, y))` of a classifier."""
    adam = optax.adam(1e-3)

    def init(key, x):
        params, state = net.init(key, x)
        return params, state, adam.init(params)

    def update(carry, batch):
        params, state, opt_state = carry
        x, y = batch

        def loss(params):
            logits, new_state = net.apply(params, state, None, x)
            value = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
            return value, ((logits.argmax(-1) == y).mean(), new_state)

        (value, (accuracy, state)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = adam.update(grads, opt_state)
        return (optax.apply_updates(params, updates), state, opt_state), (value, accuracy)

    return init, update


def gan():
    """Returns `init(key, x)` and `update(carry, (x,))` of a GAN, whose carry contains a key."""
    adam = optax.adam(1e-3, b1=0.5)
    generator, discriminator = (hk.without_apply_rng(hk.transform(net)) for net in (_generate, _discriminate))

    def init(key, x):
        keys = jax.random.split(key, 3)
        g, d = generator.init(keys[0], jnp.zeros((1, 8))), discriminator.init(keys[1], x)
        return g, d, adam.init(g), adam.init(d), keys[2]

    def update(carry, batch):
        g, d, g_state, d_state, key = carry
        (real,) = batch
        key, *keys = jax.random.split(key, 3)
        latents = [jax.random.normal(key, (len(real), 8)) for key in keys]

        def d_loss(d):
            fake = generator.apply(g, latents[0])
            return (
                jax.nn.softplus(-discriminator.apply(d, real)) + jax.nn.softplus(discriminator.apply(d, fake))
            ).mean()

        d_value, grads = jax.value_and_grad(d_loss)(d)
        updates, d_state = adam.update(grads, d_state)
        d = optax.apply_updates(d, updates)
        g_loss = lambda g: jax.nn.softplus(-discriminator.apply(d, generator.apply(g, latents[1]))).mean()
        g_value, grads = jax.value_and_grad(g_loss)(g)
        updates, g_state = adam.update(grads, g_state)
        return (optax.apply_updates(g, updates), d, g_state, d_state, key), (d_value, g_value)

    return init, update


def _generate(latents):
    return hk.nets.MLP([128, 128, 128, 2])(latents)


def _discriminate(x):
    return hk.nets.MLP([128, 128, 128, 1])(x)[:, 0]


def parts(work):
    """Returns `init` and `update` of a work."""
    return gan() if work == "W2" else classifier(NETS[work])


def count(work, carry):
    """Counts the trained parameters in a carry."""
    return sum(leaf.size for leaf in jax.tree.leaves(carry[:2] if work == "W2" else carry[0]))
