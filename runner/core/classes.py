"""The classes of a dataset: their number, and weights of their losses."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from runner.core.spec import Spec


def count_classes(spec: Spec) -> int:
    """Returns the number of classes.

    Raises:
        ValueError: the data has no classes.
    """
    if "y" not in spec.features:
        raise ValueError(
            "the data has no labels y: in a folder of images, each class is a folder directly in dataset.path, or"
            " directly in its train, val and test, and there are two or more"
        )
    if spec.classes is None:
        raise ValueError(
            "the data has no classes: use scenario=regression, or for a table dataset.task=classification"
        )
    return spec.classes


def class_weights(weights: str | Sequence[float], spec: Spec) -> jax.Array:
    """Returns the weights of the classes `[classes]`, from a list of them or "balanced".

    Balanced weights are `1 / (classes * share of the rows)`, as in scikit-learn, and 0 for a class without rows.

    Raises:
        ValueError: there is not one weight for each class, or the shares of the classes are not known.
    """
    if not isinstance(weights, str):
        if len(weights) != spec.classes:
            raise ValueError(
                f"class_weights: {len(weights)} weights, but the data has {spec.classes} classes"
            )
        return jnp.stack([jnp.asarray(each, jnp.float32) for each in weights])
    if spec.frequencies is None:
        raise ValueError(
            "class_weights: the shares of the classes are not known for this data; list the weights"
        )
    shares = jnp.asarray(spec.frequencies)
    return jnp.where(shares > 0, 1 / (len(shares) * jnp.where(shares > 0, shares, 1)), 0)
