import logging
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from runner.core import Spec
from runner.datasets import image_folder, image_table
from runner.datasets.images import decoding, folders, load
from runner.datasets.images.decoding import Form
from runner.datasets.images.workers import Workers
from runner.evaluators.means import passes
from runner.scenarios import Supervised

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
    return image_folder(str(folder), **{"size": 8, "batch_size": 4, "workers": 1, **settings})


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


def pictures(folder, *names, color=None):
    for name in names:
        draw(folder / name, color=color)


def found(folder, **settings):
    """Returns the images of each part and the classes, as the rules of new runs find them."""
    data = small(folder, **{"labels": "folders", "batch_size": 1, **settings})
    parts = [sorted(str(file.relative_to(folder)) for file in source._images.files) for source in data]
    return parts, data.spec.labels


def test_folders_of_parts_hold_folders_of_classes(tmp_path):
    pictures(tmp_path, *(f"train/{name}/{n}.png" for name in ("cat", "dog") for n in range(6)))
    pictures(tmp_path, "val/cat/8.png", "val/dog/8.png")
    (train, validation, test), labels = found(tmp_path)
    assert labels == ("cat", "dog")
    assert validation == ["val/cat/8.png", "val/dog/8.png"]
    assert len(test) == 1  # 10 % of the training images
    assert len({*train, *test}) == len(train) + len(test) == 12
    assert all(name.startswith("train/") for name in train + test)
    pictures(tmp_path, "Testing/dog/9.png")
    assert found(tmp_path)[0][2] == ["Testing/dog/9.png"]
    pictures(tmp_path, "val/bird/8.png")
    with pytest.raises(
        ValueError, match=r"^path: the validation images in .* are of the classes bird; the train images"
    ):
        found(tmp_path)


def test_parts_beside_other_folders_are_refused(tmp_path):
    pictures(tmp_path, "train/cat/1.png", "train/dog/2.png", "extra/3.png")
    with pytest.raises(
        ValueError, match=r"^path: .* has the parts train beside the folders extra: move these, or name"
    ):
        found(tmp_path)


def test_hidden_and_system_files_are_ignored(tmp_path):
    pictures(tmp_path, *(f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)))
    pictures(tmp_path, ".ipynb_checkpoints/1.png", "__MACOSX/cat/1.png", "cat/._1.png", "dog/.cache/1.png")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"no image")
    parts, labels = found(tmp_path)
    assert labels == ("cat", "dog")
    assert sum(map(len, parts)) == 8


def test_images_beside_the_folders_of_classes_are_ignored_and_counted(tmp_path, caplog):
    pictures(
        tmp_path, *(f"{name}/{n}.png" for name in ("cat", "dog") for n in range(5)), "preview.png", "x.png"
    )
    (tmp_path / "bird").mkdir()
    with caplog.at_level(logging.WARNING, logger="runner"):
        parts, labels = found(tmp_path)
    assert labels == ("cat", "dog")
    assert sum(map(len, parts)) == 10
    assert "2 images directly in" in caplog.text
    assert "have no images, and are no classes: bird" in caplog.text
    assert ": 8 train, 1 validation, 1 test images of 2 classes: cat 5, dog 5" in caplog.text
    parts, labels = found(tmp_path, labels="none")
    assert labels == ()
    assert sum(map(len, parts)) == 12


def test_links_are_followed_once_and_never_in_a_circle(tmp_path):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    pictures(folder, *(f"cat/{n}.png" for n in range(4)))
    pictures(elsewhere, *(f"dogs/{n}.png" for n in range(4)))
    (folder / "dog").symlink_to(elsewhere / "dogs")
    (folder / "again").symlink_to(elsewhere / "dogs")
    (folder / "cat" / "up").symlink_to(folder)
    (elsewhere / "dogs" / "all").symlink_to(elsewhere)
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    parts, labels = found(folder)
    assert len(labels) == 2
    assert sum(map(len, parts)) == 8


def test_a_single_class_is_no_class(tmp_path, caplog):
    pictures(tmp_path, *(f"cat/{n}.png" for n in range(4)))
    with caplog.at_level(logging.WARNING, logger="runner"):
        data = small(tmp_path, labels="folders", batch_size=1)
    assert "cat is the only folder with images" in caplog.text
    assert data.spec.classes is None
    with pytest.raises(ValueError, match=r"^the data has no labels y: .* there are two or more"):
        Supervised.output_shapes(None, data.spec)


def test_images_in_formats_that_are_not_read_are_counted(tmp_path, caplog):
    pictures(tmp_path, "1.png", "2.png", "3.png")
    for number in range(4):
        image = Image.new("RGB", (8, 8), (9 * number, 0, 0))
        image.save(tmp_path / f"{number}.jfif", "JPEG")
        (tmp_path / f"{number}.heic").write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="runner"):
        parts, _ = found(tmp_path)
    assert sum(map(len, parts)) == 7
    assert "has images that are not read: 4 .heic; convert them" in caplog.text


def test_avif_is_read_if_this_pillow_reads_it(tmp_path, monkeypatch, caplog):
    if ".avif" in decoding.readable():
        Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "1.avif")
        assert load(tmp_path / "1.avif", 4, 3)[0, 0, 0] > 150
    (tmp_path / "1.avif").touch()
    pictures(tmp_path, "1.png", "2.png", "3.png")
    monkeypatch.setattr(folders, "readable", lambda: {".png": "PNG"})
    with caplog.at_level(logging.WARNING, logger="runner"):
        parts, _ = found(tmp_path)
    assert sum(map(len, parts)) == 3
    assert "has images that are not read: 1 .avif; convert them" in caplog.text


@pytest.mark.parametrize("bits", [5, 12, 16])
def test_images_of_16_bits_are_scaled_by_the_bits_that_they_use(tmp_path, bits):
    for number in range(8):
        grey = np.full((4, 4), ((1 << bits) - 1) * number // 7, np.uint16)
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
    data = small(tmp_path, labels="none", batch_size=1, size=4, channels=1, validation=0.1, test=0.1)
    order = [int(file.stem) for file in data.train._images.files]
    seen = sorted(float(batch["x"].max()) for batch in batches(data.train, 0, 6))
    expected = [number / 7 for number in sorted(order)]
    assert max(order) == 7
    np.testing.assert_allclose(seen, expected, atol=0.05)
    assert data.spec.depth == bits
    assert Spec.from_json(data.spec.to_json()).depth == bits


def test_the_batches_do_not_depend_on_the_number_of_workers(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="runner"):
        one, three = (batches(small(folder, workers=count).train, 0, 9) for count in (1, 3))
    for first, second in zip(one, three, strict=True):
        assert np.array_equal(first["x"], second["x"])
    assert caplog.text.count("06.jpg cannot be read") == 2


def test_a_process_that_ends_is_an_error_and_not_a_missing_image(folder):
    workers = Workers(2)
    form = Form(4, 3)
    [image] = workers.begin("pixels", [str(folder / "00.jpg")], form)()
    assert image == load(folder / "00.jpg", 4, 3).tobytes()
    for process in workers.processes:
        process.kill()
    with pytest.raises(
        ChildProcessError, match=r"a process that decodes images ended \(exit code -9\) at one of"
    ):
        workers.begin("pixels", [str(folder / "00.jpg")], form)()


def test_a_draft_of_a_jpeg_has_nearly_the_same_pixels(tmp_path):
    steps = np.linspace(0, 255, 256).astype(np.uint8)
    image = np.stack([np.tile(steps, (256, 1))] * 3, -1)
    Image.fromarray(image).save(tmp_path / "ramp.jpg", quality=95)
    whole = decoding.decode(str(tmp_path / "ramp.jpg"), Form(16, 3))
    draft = decoding.decode(str(tmp_path / "ramp.jpg"), Form(16, 3, draft=True))
    assert whole != draft
    np.testing.assert_allclose(np.frombuffer(whole, np.uint8), np.frombuffer(draft, np.uint8), atol=6)


def test_runs_saved_without_labels_keep_their_images_classes_and_digests(tmp_path):
    """The digests are those of the version that had no such setting."""
    for number in range(10):
        for name in ("a/cat", "a/dog", "b/train/cat", "b/val/dog", "b/.hidden"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            values = bytes((number + len(name) + 7 * n) % 256 for n in range(48))
            (tmp_path / name / f"{number}.ppm").write_bytes(b"P6 4 4 255\n" + values)
    sorted_, pooled = (small(tmp_path / name, size=2) for name in ("a", "b"))
    assert [source.digest[:8] for source in sorted_] == ["05e86a73", "9e5039f8", "701a96f2"]
    assert [source.digest[:8] for source in pooled] == ["70e3142d", "bea6db15", "655b781e"]
    assert (sorted_.spec.classes, pooled.spec.classes) == (2, None)


def table_of(folder, *lines, rows=12):
    """Writes images whose shade is their number, and a table of them."""
    for number in range(rows):
        draw(folder / "shades" / f"{number}.png", color=(20 * number,) * 3)
    lines = lines or [f"shades/{n}.png,{'dark' if n < 6 else 'light'},{n / 10 + 0.05}" for n in range(rows)]
    (folder / "labels.csv").write_text("\n".join(["file,kind,shade", *lines]))
    return str(folder / "labels.csv")


def from_table(path, **settings):
    small = {"size": 4, "batch_size": 2, "workers": 1, "image": "file", "target": "kind"}
    return image_table(path, **small | settings)


def test_a_table_names_images_and_their_classes(tmp_path):
    data = from_table(table_of(tmp_path))
    assert data.spec.labels == ("dark", "light")
    assert sum(len(source._images.files) for source in data) == 12
    for batch in batches(data.train, 0, 6):
        assert np.array_equal(batch["y"], (batch["x"].mean((1, 2, 3)) > 110 / 255).astype(int))


def test_a_table_names_images_and_numbers_to_predict(tmp_path):
    data = from_table(table_of(tmp_path), target="shade", task="regression")
    assert data.spec.features["y"] == ((1,), "float32")
    assert data.spec.mean["y"].shape == data.spec.std["y"].shape == (1,)
    for batch in batches(data.train, 0, 4):
        np.testing.assert_allclose(batch["y"][:, 0], batch["x"].mean((1, 2, 3)) * 255 / 200 + 0.05, atol=0.01)
    assert "y" not in from_table(table_of(tmp_path), target=None).spec.features


def test_the_digest_of_a_table_of_images_depends_on_its_targets(tmp_path):
    first = from_table(table_of(tmp_path)).train.digest
    lines = [f"shades/{n}.png,{'dark' if n % 2 else 'light'},1" for n in range(12)]
    assert from_table(table_of(tmp_path, *lines)).train.digest != first


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (
            ["shades/1.png,a,1", "shades/99.png,b,1"],
            {},
            r"file: line 3 of .* is 'shades/99.png'; there is no file .*shades/99.png \(1 of 2 rows",
        ),
        (["shades/1.png,a,1", ",b,1"], {}, "file: line 3 of .* is empty; fill it"),
        (["shades/1.png,a,1", "shades/2.png,,1"], {}, "kind: line 3 of .* is empty; fill it"),
        ([], {"image": "path"}, "image: .* has no column 'path'; it has file, kind, shade"),
        ([], {"target": "label"}, "target: .* has no column 'label'; it has file"),
        (
            [],
            {"folder": "nowhere"},
            "file: line 2 of .* there is no file nowhere/shades/0.png \\(12 of 12 rows",
        ),
        (
            ["shades/1.png,a,1", "shades/2.png,a,1"],
            {},
            "kind: every row of .* is 'a'; classification needs two",
        ),
    ],
)
def test_a_row_of_a_table_that_cannot_be_used_is_named(tmp_path, lines, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_table(table_of(tmp_path, *lines), **settings)


def test_damaged_bytes_are_an_image_or_a_reason_and_never_an_error(tmp_path):
    """Changes, cuts and repeats bytes of images in many formats."""
    random, files = np.random.default_rng(0), []
    for number in range(60):
        ending = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm")[number % 7]
        draw(tmp_path / f"whole.{ending}", size=(9, 7))
        content = bytearray((tmp_path / f"whole.{ending}").read_bytes())
        for at in random.integers(0, len(content), 3):
            content[at] = random.integers(0, 256)
        files.append(tmp_path / f"{number}.{ending}")
        files[-1].write_bytes(content[: random.integers(1, len(content) + 1)] * random.integers(1, 3))
    for depth in (5, 16):
        for result in decoding.decode_all(list(map(str, files)), Form(4, 3, depth)):
            assert isinstance(result, str) or len(result) == 4 * 4 * 3
    assert {type(result) for result in decoding.depths_of(list(map(str, files)), Form(4, 3))} == {int, str}
