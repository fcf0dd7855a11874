import jax
import numpy as np
import pytest
import tensorflow_datasets

from runner.core import Feature
from runner.datasets import tfds

MOCK = """
import tensorflow_datasets
mock = tensorflow_datasets.testing.mock_data(num_examples=60)
mock.__enter__()
"""


@pytest.fixture
def mocked(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(MOCK)  # of the process that is killed
    with tensorflow_datasets.testing.mock_data(num_examples=60):
        yield


def test_oxford_flowers_102_is_killed_and_resumes(mocked, resumed, tmp_path):
    case = resumed(
        "dataset=oxford_flowers102", f"dataset.path={tmp_path}", "dataset.size=8", "dataset.batch_size=8"
    )
    spec = case.dataset.spec
    assert spec.features == {"x": Feature((8, 8, 3), "float32"), "y": Feature((), "int32")}
    assert (spec.classes, len(spec.labels)) == (102, 102)
    assert [source.size for source in case.dataset] == [60, 60, 60]
    assert case.dataset.train.feed(jax.random.key(0), 0, 1)["x"].dtype == np.uint8


def test_a_feature_that_is_missing_is_refused(mocked, tmp_path):
    with pytest.raises(
        ValueError, match=r"^picture: oxford_flowers102 has no such feature; it has file_name, image, label"
    ):
        tfds("oxford_flowers102", str(tmp_path), inputs="picture")


def test_a_dataset_that_is_not_prepared_is_refused_with_the_command_that_prepares_it(tmp_path):
    with pytest.raises(
        ValueError, match=r"^name: oxford_flowers102 is not in .*; prepare it once: python -c"
    ):
        tfds("oxford_flowers102", str(tmp_path))
    with pytest.raises(ValueError, match=r"^name: .*no_such_dataset"):
        tfds("no_such_dataset", str(tmp_path))
