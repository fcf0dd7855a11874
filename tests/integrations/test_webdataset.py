import io

import jax
import numpy as np
import pytest
import webdataset as library
from PIL import Image

from runner.core import Feature
from runner.datasets import webdataset

# The library leaves an archive that is not read to its end to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATHS = {"path": "train-*.tar", "validation_path": "held-0.tar", "test_path": "held-*.tar"}


def png(number):
    content = io.BytesIO()
    Image.new("RGB", (9, 6), (number, 0, 255 - number)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(autouse=True)
def _archives():
    for name, sizes in {"train": (20, 15, 17), "held": (13, 5)}.items():
        for shard, size in enumerate(sizes):
            with library.TarWriter(f"{name}-{shard}.tar") as writer:
                for number in range(size):
                    example = 30 * shard + number
                    x = np.full(2, example, np.float32)
                    writer.write(
                        {"__key__": f"{example:04}", "npy": x, "png": png(example), "cls": example % 3}
                    )


@pytest.mark.parametrize("size", [52, None])
def test_archives_are_killed_and_resume_in_another_order_each_epoch(size, resumed):
    paths = [f"dataset.{name}={path}" for name, path in PATHS.items()]
    rest = [
        "dataset.inputs=npy",
        "dataset.batch_size=8",
        f"dataset.size={size or 'null'}",
        "dataset.shuffle=10",
    ]
    case = resumed("dataset=webdataset", *paths, *rest)
    assert [source.size for source in case.dataset] == [size, 13, 18]
    x = case.dataset.train.feed(jax.random.key(0), 0, 12)["x"][..., 0].reshape(2, 48)
    assert [len(np.unique(epoch)) for epoch in x] == [48, 48]
    assert not np.array_equal(*x)


def test_images_are_resized_and_held_out_examples_keep_their_order():
    data = webdataset(**PATHS, inputs="png", pixels=4, batch_size=4)
    assert data.spec.features == {"x": Feature((4, 4, 3), "float32"), "y": Feature((), "int32")}
    feed = data.test.feed(jax.random.key(0), 0, 5)
    examples = [*range(13), *range(30, 35)]
    np.testing.assert_allclose(
        feed["x"].reshape(20, 4, 4, 3)[:18, 0, 0, 0], np.array(examples) / 255, rtol=1e-6
    )
    assert feed["y"].ravel()[:18].tolist() == [example % 3 for example in examples]


def test_archives_that_are_missing_are_refused():
    with pytest.raises(ValueError, match=r"^validation_path: none-\*.tar leads to no archive"):
        webdataset(**{**PATHS, "validation_path": "none-*.tar"}, inputs="npy")


def test_a_wrong_size_is_noticed_at_the_end_of_the_epoch():
    with pytest.raises(ValueError, match=r"^size: stands for 8 batches in an epoch, and there are 6"):
        webdataset(**PATHS, inputs="npy", batch_size=8, size=64)  # reads 1,024 examples, of several epochs
