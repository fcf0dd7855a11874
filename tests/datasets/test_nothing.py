import jax

from runner.datasets import nothing


def test_there_are_no_features_and_no_arrays():
    dataset = nothing()
    assert not dataset.spec.features
    for source in dataset:
        assert (source.batch_size, source.size) == (1, None)
        item = source.feed(jax.random.key(0), 3, 5)
        assert item is None
        assert source.batch(jax.random.key(0), item) == {}


def test_all_of_it_is_equal_and_static_so_that_runs_share_a_compile():
    one, other = nothing(), nothing()
    assert one == other
    assert hash(one) == hash(other)
    assert jax.tree.leaves(one) == []
    assert jax.tree.structure(one) == jax.tree.structure(other)
