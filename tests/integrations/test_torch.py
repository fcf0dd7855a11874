import jax
import numpy as np
import pytest

from runner.datasets import torch as dataset

MODULE = """
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

class Noisy(Dataset):
    def __len__(self):
        return 50

    def __getitem__(self, number):
        x = torch.tensor([number, -number], dtype=torch.float64) + torch.randn(2)
        return x, number % 3

def maps(split, workers=0, seeded=False):
    generator = torch.Generator() if seeded else None
    shuffle = split == "train"
    return DataLoader(Noisy(), batch_size=8, shuffle=shuffle, num_workers=workers, generator=generator)

class Endless(IterableDataset):
    def __iter__(self):
        return iter(Noisy()[number] for number in range(50))

def iterables(split):
    return DataLoader(Endless(), batch_size=8, drop_last=True)
"""


@pytest.fixture(autouse=True)
def module(tmp_path):
    (tmp_path / "own_torch.py").write_text(MODULE)
    import own_torch

    return own_torch


@pytest.mark.parametrize("seeded", ["true", "false"])
def test_a_loader_with_random_transformations_is_killed_and_resumes(seeded, resumed):
    case = resumed("dataset=torch", "dataset.make=own_torch.maps", f"dataset.settings={{seeded: {seeded}}}")
    assert [source.size for source in case.dataset] == [50, 50, 50]
    x = case.dataset.train.feed(jax.random.key(0), 0, 14)["x"].reshape(2, 56, 2)[:, :50]
    assert not np.array_equal(*x)
    assert np.isclose(x.sum(-1).std(), np.sqrt(2), rtol=0.5)


def test_an_iterable_dataset_says_that_it_cannot_resume(module):
    data = dataset(module.iterables, validation=48, test=48)
    assert not data.train.exact
    assert data.train.feed(jax.random.key(0), 0, 7)["y"].ravel()[:8].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_what_is_no_loader_without_processes_is_refused(module):
    with pytest.raises(ValueError, match=r"^make: the DataLoader has worker processes"):
        dataset(module.maps, {"workers": 2})
    with pytest.raises(ValueError, match=r"^make: returns a list for train; need a DataLoader"):
        dataset(lambda split: [])
