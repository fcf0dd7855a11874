import re

import grain
import jax
import numpy as np
import pytest

from runner.datasets import grain as dataset

MODULE = """
import grain
import numpy as np

class Rows:
    def __len__(self):
        return 50

    def __getitem__(self, number):
        x = np.random.default_rng(int(number)).normal(size=3)
        return {"x": x.astype(np.float32), "y": np.int64(x.sum() > 0)}

def maps(split):
    rows = grain.MapDataset.source(Rows())
    return rows.shuffle(seed=3) if split == "train" else rows[:20]

def iterables(split):
    rows = maps(split).repeat() if split == "train" else maps(split)
    return rows.to_iter_dataset()

def loaders(split, workers=0):
    sampler = grain.samplers.IndexSampler(50, shuffle=True, seed=3, num_epochs=None if split == "train" else 1)
    batch = grain.transforms.Batch(8, drop_remainder=True)
    return grain.DataLoader(data_source=Rows(), sampler=sampler, operations=[batch], worker_count=workers)
"""


@pytest.fixture(autouse=True)
def module(tmp_path):
    (tmp_path / "own_grain.py").write_text(MODULE)
    import own_grain

    return own_grain


def test_a_map_dataset_is_killed_and_resumes(resumed):
    case = resumed(
        "dataset=grain", "dataset.make=own_grain.maps", "dataset.batch_size=8", "dataset.threads=2"
    )
    assert [source.size for source in case.dataset] == [48, 20, 20]
    assert case.dataset.spec.classes == 2


def test_an_iter_dataset_is_killed_and_resumes(resumed):
    sizes = ["dataset.batch_size=8", "dataset.size=50", "dataset.validation=20", "dataset.test=20"]
    case = resumed("dataset=grain", "dataset.make=own_grain.iterables", *sizes)
    assert not case.dataset.train.resumable


def test_a_data_loader_is_killed_and_resumes_although_its_state_names_an_address(module, resumed):
    resumed("dataset=grain", "dataset.make=own_grain.loaders", "dataset.validation=48", "dataset.test=48")
    assert b"object at 0x" in iter(module.loaders("train")).get_state()


def test_a_map_dataset_of_the_user_in_batches_ends_with_a_short_one(module):
    data = dataset(lambda split: grain.MapDataset.source(module.Rows()).batch(8))
    assert [source.size for source in data] == [50, 50, 50]
    x = data.test.feed(jax.random.key(0), 0, 7)["x"].reshape(-1, 3)[:50]
    np.testing.assert_array_equal(x, np.stack([module.Rows()[number]["x"] for number in range(50)]))


def test_worker_processes_are_refused(module):
    with pytest.raises(ValueError, match=re.escape("make: the DataLoader has worker processes")):
        dataset(module.loaders, {"workers": 1}, validation=48, test=48)
