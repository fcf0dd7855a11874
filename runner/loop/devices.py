"""The devices that share each batch."""

import jax
from jax.sharding import Mesh


def mesh_of(devices: int | str, batch_size: int) -> Mesh | None:
    """Returns a mesh of the devices that share the batches, or None if there is one.

    Raises:
        ValueError: there are fewer devices than requested, or they cannot share a batch evenly.
    """
    available = jax.device_count()
    count = available if devices == "all" else int(devices)
    if count == 1:
        return None
    if count > available:
        raise ValueError(f"loop.devices: {count} are asked for, of {available}; set all, or fewer")
    if batch_size % count:
        raise ValueError(f"loop.devices: a batch of {batch_size} cannot be shared by {count} devices evenly")
    return jax.make_mesh(
        (count,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:count]
    )
