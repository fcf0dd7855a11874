"""Training images that are changed at random in each step."""

from collections.abc import Callable, Mapping

import jax

from runner.core import Array, Batch, Key, PyTree, Source


@jax.tree_util.register_pytree_node_class
class Augmented:
    """Changes the images x of another source inside the compiled step.

    The random numbers follow from the key of the batch, and so from the number of the step: a resumed run draws the
    same ones.

    Args:
        source: yields x [B, height, width, channels].
        functions: name -> function `f(key, x) -> x`, in their order.

    Raises:
        ValueError: x are no images, or a function changes their shape or dtype.
    """

    def __init__(self, source: Source, functions: Mapping[str, Callable[[Key, Array], Array]]):
        self.source, self.functions = source, tuple(functions.values())
        self.spec, self.batch_size, self.size = source.spec, source.batch_size, source.size
        feature = self.spec.features.get("x")
        if feature is None or len(feature.shape) != 3 or not feature.dtype.startswith("float"):
            found = "none" if feature is None else f"{feature.dtype} of shape {feature.shape}"
            raise ValueError(f"needs images x [height, width, channels] of floats; x of this data is {found}")
        x = jax.ShapeDtypeStruct((self.batch_size, *feature.shape), feature.dtype)
        for name, function in functions.items():
            _refuse_other_form(name, function, x)

    def __getattr__(self, name: str) -> PyTree:
        """Returns what only some sources have, such as a digest or a position."""
        if name == "source" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.source, name)

    def feed(self, key: Key, start: int, length: int) -> PyTree:
        """Returns what the other source does."""
        return self.source.feed(key, start, length)

    def batch(self, key: Key, item: PyTree) -> Batch:
        """Returns the batch of the other source with changed images."""
        batch = self.source.batch(key, item)
        x = batch["x"]
        for number, function in enumerate(self.functions):
            x = function(jax.random.fold_in(key, number), x)
        return {**batch, "x": x}

    def tree_flatten(self):
        """Returns the source as a leaf, and the functions as static data."""
        return (self.source,), (self.functions, self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: everything but the spec."""
        source = object.__new__(cls)
        (source.source,), (source.functions, source.batch_size, source.size) = leaves, static
        return source


def _refuse_other_form(name: str, function: Callable, x: jax.ShapeDtypeStruct) -> None:
    try:
        changed = jax.eval_shape(function, jax.random.key(0), x)
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from error
    if (getattr(changed, "shape", None), getattr(changed, "dtype", None)) != (x.shape, x.dtype):
        raise ValueError(f"{name}: returns {changed} for x of {x.dtype} and shape {x.shape}")
