import jax
import numpy as np
import pytest


@pytest.fixture
def normal():
    """Draws standard normal numbers on the host; to compile JAX's generator takes longer than these tests."""
    generator = np.random.default_rng(0)
    return lambda *shape: generator.normal(size=shape).astype(np.float32)


@pytest.fixture
def init(normal):
    """Makes a net's params, with weights of variance 1 / inputs, and its first state."""

    def init(net, x):
        def start(key):
            return net.init(key, x, is_training=True)

        params, _ = jax.eval_shape(start, jax.random.key(0))
        state = jax.jit(lambda key: start(key)[1])(jax.random.key(0))
        return jax.tree.map(
            lambda leaf: normal(*leaf.shape) / np.sqrt(leaf.size / leaf.shape[-1]), params
        ), state

    return init
