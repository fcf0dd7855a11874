import logging
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from runner.datasets import image_folder
from runner.datasets.images import load
from runner.evaluators.means import passes

KEY = jax.random.key(0)
MODES = ["RGB", "L", "RGBA", "P", "CMYK", "1"]


def draw(path, mode="RGB", size=(20, 12), color=None):
    random = np.random.default_rng(len(path.name) + sum(path.name.encode()))
    values = np.full((*size[::-1], 3), color) if color else random.integers(0, 256, (*size[::-1], 3))
    image = Image.fromarray(values.astype(np.uint8)).convert(mode)
    path.parent.mkdir(exist_ok=True, parents=True)
    image.save(path)


@pytest.fixture
def folder(tmp_path):
    """Writes 36 images of six modes and several sizes, and one that is cut off."""
    for number in range(36):
        mode = MODES[number % 6]
        ending = "png" if mode in ("RGBA", "P", "1") else "jpg"
        draw(tmp_path / "data" / f"{number:02}.{ending}", mode, (10 + number, 30 - number // 2))
    whole = (tmp_path / "data" / "06.jpg").read_bytes()
    (tmp_path / "data" / "06.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "data"


def batches(source, start, length):
    feed = source.feed(KEY, start, length)
    return [source.batch(KEY, jax.tree.map(lambda rows, at=at: rows[at], feed)) for at in range(length)]


def small(folder, **settings):
    return image_folder(str(folder), **{"size": 8, "batch_size": 4, "workers": 2, **settings})


def test_images_of_any_mode_and_size_become_numbers_in_one_shape(folder, caplog):
    with caplog.at_level(logging.WARNING):
        data = small(folder, channels=3)
        found = batches(data.train, 0, 8)
    for batch in found:
        assert batch["x"].shape == (4, 8, 8, 3)
        assert 0 <= batch["x"].min() < batch["x"].max() <= 1
    assert "y" not in found[0]
    assert small(folder, channels=1).spec.features["x"].shape == (8, 8, 1)


def test_a_batch_is_the_same_wherever_one_begins(folder):
    whole = batches(small(folder).train, 0, 12)
    later = small(folder).train
    assert np.array_equal(batches(later, 9, 1)[0]["x"], whole[9]["x"])
    assert np.array_equal(batches(later, 2, 2)[1]["x"], whole[3]["x"])


def test_an_epoch_visits_each_image_once_and_each_epoch_in_its_own_order(folder):
    (folder / "06.jpg").unlink()
    data = small(folder, batch_size=1)
    rows = 35 - 2 * 4  # 10 % of 35 each for validation and test
    seen = [batch["x"].tobytes() for batch in batches(data.train, 0, 2 * rows)]
    assert len(set(seen[:rows])) == rows
    assert set(seen[:rows]) == set(seen[rows:])
    assert seen[:rows] != seen[rows:]


def test_an_image_that_cannot_be_read_is_reported_once_and_the_next_replaces_it(folder, caplog):
    for file in list(folder.iterdir())[:20]:
        file.write_bytes(b"")
    (folder / "06.jpg").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING, logger="runner"):
        data = small(folder, batch_size=2)
        one = batches(data.train, 0, 30)
    messages = [
        record.message.split(" cannot")[0] for record in caplog.records if "cannot be read" in record.message
    ]
    assert messages
    assert len(messages) == len(set(messages))
    assert np.array_equal(batches(small(folder, batch_size=2).train, 17, 1)[0]["x"], one[17]["x"])


def test_held_out_images_are_passed_once_in_order_whatever_the_batch(folder):
    (folder / "06.jpg").unlink()
    validation = small(folder, batch_size=3, validation=0.2).validation
    for _ in range(2):
        counts = [rows for _, _, rows in passes(KEY, validation)]
        assert counts == [3, 3, 1]
    held = [np.asarray(batch["x"]) for batch in batches(validation, 0, 3)]
    other = [
        np.asarray(batch["x"])
        for batch in batches(small(folder, batch_size=7, validation=0.2).validation, 0, 1)
    ]
    assert np.array_equal(np.concatenate(held)[:7], np.concatenate(other))


def test_the_square_in_the_middle_is_taken_upright(tmp_path):
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255  # white between black sides
    Image.fromarray(picture).save(tmp_path / "wide.png")
    assert load(tmp_path / "wide.png", 10, 3).min() > 250
    left = np.zeros((8, 8, 3), np.uint8)
    left[:, :4] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(left).save(tmp_path / "turned.png", exif=turned)
    upright = load(tmp_path / "turned.png", 8, 1)
    assert upright[:3].min() > 200
    assert upright[5:].max() < 50


def test_transparent_parts_become_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    assert load(tmp_path / "glass.png", 4, 3).min() == 255


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_of_16_bits_a_pixel_the_upper_8_are_kept(tmp_path, ending):
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8) << 10
    Image.fromarray(grey).save(tmp_path / f"deep.{ending}")
    assert np.array_equal(load(tmp_path / f"deep.{ending}", 8, 3), np.stack([grey >> 8] * 3, -1))


@pytest.mark.parametrize(
    "content",
    [
        b"P5 2x 2 255 1234",
        b"P5",
        b"BM" + b"\xff" * 60,
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"II*\0" + b"\xff" * 40,
    ],
    ids=["number", "end", "size", "chunk", "tag"],
)
def test_whatever_an_image_is_broken_by_it_is_left_out(folder, content):
    (folder / "06.jpg").unlink()
    whole = small(folder, batch_size=1)
    first = batches(whole.train, 0, 1)[0]["x"]
    broken = next(
        file for file in folder.iterdir() if np.array_equal(load(file, 8, 3) / np.float32(255), first[0])
    )
    broken.write_bytes(content)
    assert np.array_equal(
        batches(small(folder, batch_size=1).train, 0, 1)[0]["x"], batches(whole.train, 1, 1)[0]["x"]
    )


def test_a_file_that_pillow_would_run_another_program_for_is_no_image(tmp_path):
    (tmp_path / "evil.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(UnidentifiedImageError):
        load(tmp_path / "evil.png", 8, 3)


def test_pixels_of_no_known_range_are_left_out(tmp_path):
    for number in range(4):
        Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / f"{number}.tif")
    with pytest.raises(
        ValueError,
        match=r"^path: none of the 2 images can be read, .* float32 pixels are not of 8 or 16 bits",
    ):
        small(tmp_path, batch_size=1)


def test_folders_are_classes_where_every_image_lies_in_one(tmp_path):
    for name, color in (("dark", (9, 9, 9)), ("light", (240, 240, 240))):
        for number in range(8):
            draw(tmp_path / name / f"{number}.png", color=color)
    data = small(tmp_path)
    assert data.spec.labels == ("dark", "light")
    assert data.spec.classes == 2
    for batch in batches(data.train, 0, 3):
        assert np.array_equal(batch["y"], (batch["x"].mean((1, 2, 3)) > 0.5).astype(int))


def test_the_spec_has_mean_and_deviation_of_the_training_images(tmp_path):
    for number in range(10):
        draw(tmp_path / f"{number}.png", color=(51, 102, 204))
    spec = small(tmp_path).spec
    np.testing.assert_allclose(spec.mean["x"], [0.2, 0.4, 0.8], rtol=1e-5)
    np.testing.assert_allclose(spec.std["x"], 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"path": "nowhere"},
            "path: there is no folder nowhere; for Oxford Flowers 102, say, fetch https://",
        ),
        ({"path": "."}, r"path: \. has no images"),
        ({"size": 0}, "size: 0 is less than 1"),
        ({"channels": 2}, "channels: 2 is neither 1"),
        ({"batch_size": 100}, "batch_size: 100 images a batch, of 28 to train on"),
        ({"validation": 1.0}, "validation: 1.0 is not a fraction"),
    ],
)
def test_what_cannot_be_streamed_is_refused_by_its_setting(folder, settings, message, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ValueError, match=rf"^{message}"):
        small(settings.pop("path", folder), **settings)


def test_a_stream_that_lives_to_the_end_of_python_ends_without_a_word(folder):
    program = (
        f"from runner.datasets import image_folder; data = image_folder({str(folder)!r}, 8, batch_size=4)"
    )
    (folder / "06.jpg").unlink()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Traceback" not in ended.stderr


def test_a_folder_of_damaged_images_is_refused(folder):
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"^path: none of the 28 images can be read"):
        small(folder)


def test_folders_of_splits_are_not_taken_for_classes(tmp_path):
    from runner.datasets.images import _are_sorted_by_class

    splits = [tmp_path / "train/1.png", tmp_path / "val/2.png"]
    assert not _are_sorted_by_class(splits, str(tmp_path))
    assert _are_sorted_by_class([*splits, tmp_path / "cat/3.png"], str(tmp_path))
