"""What bad input gets: one line that says where, what and what to do, and nothing written."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from runner.cli import main


def _with(rows, value):
    changed = rows.copy()
    changed[(3, 1)[: rows.ndim]] = value
    return changed


NPZ = ["dataset=npz", "dataset.path=my.npz"]
CSV = ["dataset=csv", "dataset.path=my.csv", "dataset.target=y"]

CONFIGURATIONS = {
    "scenario=gann": ["scenario", "gann", "did you mean gan?"],
    "stepz=3": ["stepz", "did you mean steps?"],
    "optimizer.lr=3": ["optimizer.lr", "learning_rate"],
    "+sceanrio=gan": ["sceanrio", "did you mean scenario?"],
    "+optimizer.lr=3": ["optimizer.lr", "adam has no such setting"],
    "+scenario.net.hidden=[7]": ["scenario.net", "follows net", "net.hidden"],
    "scenario=../../x": ["not a plain name"],
    "scenario=[gan]": ["not a plain name"],
    "net=": ["net", "not a plain name"],
    "net=..": ["net: '..' is not a plain name"],
    "net=/etc/passwd": ["net: '/etc/passwd' is not a plain name"],
    "net=m\u0585p": ["cannot read the settings"],
    "net=null": ["net", "not a plain name"],
    "steps=1 steps=2": ["steps is given twice (1, 2)"],
    "seed=1,2": ["seed=1,2", "add -m"],
    "seed=[1": ["cannot read the settings", "key=value"],
    "dataset=csv": ["dataset.path is missing", "dataset.path="],
    "steps=abc": ["steps", "'abc' is not a whole number"],
    "steps=0": ["steps: 0 is less than 1"],
    "steps=-1": ["steps: -1 is less than 1"],
    "loop.steps=5": ["loop.steps", "steps="],
    "seed=1.5": ["seed: 1.5 is not a whole number"],
    "one_batch=3": ["one_batch: 3 is not true or false"],
    "freeze=3": ["freeze: 3 is not a name"],
    f"hydra.run.dir={'a' * 300}": ["run directory", "File name too long"],
    "hydra.run.dir=a\0b": ["cannot read the settings"],
    "hydra.run.dir=a\nb": ["cannot read the settings"],
    "seed=-1": ["seed", "0..4294967295"],
    "seed=4294967296": ["seed", "0..4294967295"],
    "net.hidden_sizes=64": ["net.hidden_sizes", "64", "a list"],
    "net.hidden_sizes=[64.5]": ["net.hidden_sizes", "whole number"],
    "net.hidden_sizes=[-3]": ["net.hidden_sizes: -3 is less than 1"],
    "net.hidden_sizes=[0]": ["net.hidden_sizes: 0 is less than 1"],
    "net.activation=rellu": ["net.activation", "did you mean relu?"],
    "net.dropout=1.5": ["net.dropout", "1.5"],
    "dataset.batch_size=0": ["dataset.batch_size: 0 rows", "need 1 to 1257"],
    "dataset.batch_size=100000": ["dataset.batch_size", "100000"],
    "optimizer.learning_rate=nan": ["optimizer.learning_rate", "finite", "nan"],
    "optimizer.learning_rate=inf": ["optimizer.learning_rate", "finite", "inf"],
    "optimizer.learning_rate=-1": ["optimizer.learning_rate", "above 0", "-1"],
    "optimizer.learning_rate=fast": ["optimizer.learning_rate", "'fast' is not a number"],
    "optimizer.schedule=cosine": ["optimizer.schedule", "schedule=cosine"],
    "optimizer.eps=nan": ["optimizer.eps: nan is not a finite number"],
    "optimizer.eps=-1": ["optimizer.eps", "finite", "-1"],
    "optimizer.b1=1": ["optimizer.b1", "below 1, not 1.0"],
    "optimizer=adamw optimizer.weight_decay=inf": ["optimizer.weight_decay: inf is not a finite number"],
    "optimizer=rmsprop optimizer.decay=-0.1": ["optimizer.decay", "from 0", "-0.1"],
    "optimizer=sgd optimizer.momentum=1.5": ["optimizer.momentum", "below 1, not 1.5"],
    "optimizer.horizon=0 schedule=cosine": ["optimizer.horizon: 0.0 is not above 0"],
    "schedule=piecewise schedule.boundaries=[0.5,nan]": ["schedule.boundaries", "nan", "a number"],
    "optimizer.clip=0": ["optimizer.clip", "above 0"],
    "dataset.validation=2": ["dataset.validation: 2.0 is no share of the rows"],
    "dataset.validation=0.6 dataset.test=0.6": ["dataset.test", "leave none to train on"],
    "dataset.split_seed=-1": ["dataset.split_seed: -1 is less than 0"],
    "loop.log_every=0": ["loop.log_every: 0 is less than 1"],
    "loop.fuse=maybe": ["loop.fuse", "auto, always, never"],
    "loop.best=acuracy": ["best", "acuracy", "accuracy"],
    "loop.patience=0": ["loop.patience: 0 is less than 1"],
    "loop.mode=most": ["loop.mode", "min, max"],
    "loop.devices=99": ["devices", "99"],
    "loss=hinge": ["scenario.loss", "cross_entropy"],
    "loss=squared_error": ["do not fit", "(64, 10)"],
    "scenario=gan loss=cross_entropy": ["scenario.loss", "non_saturating"],
    "scenario=gan scenario.latent_size=0": ["scenario.latent_size: 0 is less than 1"],
    "scenario=gan scenario.generator.hidden_sizes=[4]": ["net.hidden_sizes", "net@scenario.generator"],
    "scenario=diffusion scenario.diffusion_steps=0": ["scenario.diffusion_steps: 0 is less than 1"],
    "scenario=diffusion scenario.min_signal_rate=0.99": ["scenario.min_signal_rate", "rising order"],
    "scenario=diffusion scenario.max_signal_rate=1": ["scenario.min_signal_rate", "0 and 1"],
    "scenario=diffusion net=unet dataset=ring": ["unet needs images"],
    "scenario=diffusion net=unet net.channels=[4,4,4,4,4]": ["channels: unet halves images of 8 x 8 4 times"],
    "scenario=diffusion net=mlp": ["do not fit", "mlp"],
    "scenario=ode_gan scenario.step_size=0": ["scenario.step_size: 0.0 is not above 0"],
    "scenario=ode_gan integrator@scenario.integrator=rk5": ["integrator", "rk5", "rk4"],
    "scenario=ode_gan loss=squared_error": ["scenario.loss", "two players"],
    "scenario=autoencoder scenario.code_size=0": ["scenario.code_size: 0 is less than 1"],
    "scenario=vae dataset=ring": ["dataset", "loss=gaussian"],
    "scenario=vae loss=cross_entropy": ["scenario.loss", "likelihood"],
    "scenario=language_model dataset=digits": ["dataset.length"],
    "scenario=language_model dataset.size=100": ["dataset.length", "5 tokens", "window of 32"],
    "scenario=language_model dataset=text dataset.path=no.txt": ["dataset.path", "no.txt"],
    "scenario=language_model net=mlp": ["do not fit"],
    "scenario=ppo dataset=digits": ["dataset", "dataset=nothing"],
    "scenario=ppo scenario.minibatches=3": ["scenario.minibatches: 3 do not divide 16 x 128"],
    "dataset=image_folder dataset.path=nowhere": ["dataset.path", "nowhere", "fetch https://"],
    "ensemble=0": ["ensemble: 0 is less than 1"],
    "ensemble=many": ["ensemble: 'many' is not a whole number or null"],
    "init_from=nowhere": ["init_from", "nowhere", "holds no run"],
    "init_step=5": ["init_step", "init_from=RUN"],
    "freeze=net.params.nothing": ["freeze: nothing is named net.params.nothing"],
    "watch=nothing": ["watch: nothing is named nothing; there are net.params"],
    "evaluation=features": ["evaluation.features.run is missing"],
    "scenario=regression dataset=digits": ["classes", "scenario=supervised"],
    "dataset=diabetes": ["no classes", "scenario=regression"],
    "net=cnn dataset=iris": ["cnn needs images", "mlp"],
    "evaluation=samples": ["sample"],
    "loss._target_=optax.losses.nothing": ["loss._target_", "optax.losses.nothing"],
    "dataset=mnist dataset.path=nowhere": ["dataset.path", "nowhere"],
    "dataset=npz dataset.path=no.npz": ["dataset.path", "no.npz"],
    "--config-dir nowhere": ["--config-dir", "nowhere"],
    "evalute run": ["unknown verb evalute", "did you mean evaluate?"],
    "evaluate nowhere": ["nowhere", "holds no run"],
    "evaluate": ["runner evaluate"],
    "resume nowhere steps=3": ["nowhere", "holds no run"],
    "show nowhere": ["nowhere", "holds no run"],
    "parts nets": ["nets", "net"],
}

FILES = {
    "": ["is empty"],
    "x,y\n": ["no rows"],
    "x\n1\n": ["one column"],
    "x,z\n1,2\n": ["dataset.target", "'y'", "x, z"],
    "x,y\n1,2\n3\n": ["line 3", "1 cells"],
    "x,y\n1,0\ntwo,1\n3,0\n": ["x", "line 3", "'two'"],
    "x,y\n1,0\nnan,1\n3,0\n": ["x", "line 3", "nan"],
    "x,y\n1,0\n,1\n3,0\n": ["x", "line 3", "empty"],
    "x,x,y\n1,2,3\n": ["'x' twice"],
    "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n": ["dataset.batch_size", "64", "rows"],
}


X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 3
# The arrays of a file, or its bytes, and words of the refusal.
ARRAYS = {
    "NaN": ({"x": _with(X, np.nan), "y": Y}, "x: row 3, column 1 is NaN (1 of 60 values not finite"),
    "inf": ({"x": _with(X, np.inf), "y": Y}, "x: row 3, column 1 is inf"),
    "too large": ({"x": _with(X.astype(np.float64), 1e39), "y": Y}, "x: row 3, column 1 is 1e+39"),
    "overflown": ({"x": _with(X.astype(np.float16), np.inf), "y": Y}, "not finite in float16"),
    "objects": ({"x": X.astype(object), "y": Y}, "holds Python objects"),
    "texts": ({"x": X.astype(str), "y": Y}, "x: dtype <U32; need floats or whole numbers"),
    "complex": ({"x": X + 1j, "y": Y}, "x: dtype complex64"),
    "times": ({"x": X.astype("datetime64[s]"), "y": Y}, "x: dtype datetime64[s]"),
    "records": ({"x": np.zeros(20, [("a", "f4")]), "y": Y}, "x: dtype [('a', '<f4')]"),
    "a number": ({"x": np.float32(1), "y": Y}, "x: a single number; need rows [N, ...]"),
    "no values": ({"x": X[:, :0], "y": Y}, "x: shape (20, 0)"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "x: shape (0, 3); need rows"),
    "one row": ({"x": X[:1], "y": Y[:1] / 2}, "leave none to train on"),
    "few rows": ({"x": X[:9], "y": Y[:9]}, "dataset.batch_size: 8 rows a batch, of 7 rows; need 1 to 7"),
    "numbers for classes": ({"x": X, "y": Y.astype(float)}, "no classes: take scenario=regression"),
    "a label below": ({"x": X, "y": _with(Y, -1)}, "y: row 3 is -1; classes are numbered from 0"),
    "a label above": ({"x": X, "y": _with(Y, 2**40)}, "y: row 3 is 1099511627776 (1 of 20 values too large"),
    "a label far out": ({"x": X, "y": _with(Y, 99)}, "y: row 3 is 99; classes are 0..19"),
    "one class": ({"x": X, "y": 0 * Y}, "y: every row is 0; need two classes"),
    "labels in a column": ({"x": X, "y": Y[:, None]}, "y: whole numbers of shape (20, 1)"),
    "one label": ({"x": X, "y": Y[:1]}, "y: 1 rows; x has 20"),
    "too few labels": ({"x": X, "y": Y[:-1]}, "y: 19 rows; x has 20"),
    "other names": ({"a": X, "b": Y}, "has no array 'x'; it holds a, b"),
    "half a file": (b"PK\3\4 and no more", "is not a whole .npz file"),
    "a pickle": (pickle.dumps(X), "is not a whole .npz file"),
}


def refused(words, capsys) -> str:
    before = set(Path().rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main(words)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert stopped.value.code == 2
    assert set(Path().rglob("*")) == before
    return lines[0]


@pytest.mark.parametrize("command", CONFIGURATIONS)
def test_a_wrong_command_is_refused_by_one_line_and_nothing_is_written(command, capsys):
    line = refused(command.split(" "), capsys)
    assert all(word in line for word in CONFIGURATIONS[command]), line


@pytest.mark.parametrize("text", FILES)
def test_a_wrong_table_is_refused_by_line_and_column(text, capsys):
    Path("my.csv").write_text(text)
    line = refused(CSV, capsys)
    assert all(word in line for word in FILES[text]), line


def write(name):
    held = ARRAYS[name][0]
    if isinstance(held, bytes):
        Path("my.npz").write_bytes(held)
    else:
        np.savez("my.npz", **held)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_wrong_array_is_refused_by_row_and_column(name, capsys):
    write(name)
    assert ARRAYS[name][1] in refused([*NPZ, "dataset.batch_size=8"], capsys)


@pytest.mark.parametrize(
    "name", ["NaN", "overflown", "objects", "texts", "a number", "no rows", "other names", "half a file"]
)
def test_wrong_rows_are_not_predicted(name, runs, capsys):
    write(name)
    assert ARRAYS[name][1] in refused(["predict", str(runs / "supervised"), "my.npz"], capsys)


def test_rows_with_another_count_of_features_are_not_predicted(runs, capsys):
    write("few rows")
    line = refused(["predict", str(runs / "supervised"), "my.npz"], capsys)
    assert "x: each has shape (3,); the net of this run takes (4,)" in line


def test_a_run_directory_that_is_a_file_is_refused(capsys):
    Path("run").write_text("mine")
    assert "is a file" in refused(["hydra.run.dir=run"], capsys)


def test_a_run_directory_that_holds_something_else_is_refused(capsys):
    Path("run").mkdir()
    Path("run/notes.txt").write_text("mine")
    assert "holds files, but no run" in refused(["hydra.run.dir=run"], capsys)


def test_a_run_directory_of_another_configuration_is_refused_by_key(runs, capsys):
    line = refused(["scenario=gan", f"hydra.run.dir={runs / 'supervised'}"], capsys)
    assert "another configuration" in line
    assert "there" in line
    assert "asked for" in line


def test_a_configuration_that_is_no_yaml_is_refused_by_file(capsys):
    Path("conf/net").mkdir(parents=True)
    Path("conf/net/bad.yaml").write_text("a: [1\nb: 2\n")
    line = refused(["--config-dir", "conf", "net=bad"], capsys)
    assert "not valid YAML" in line
    assert "bad.yaml" in line


def test_a_failure_that_nobody_foresaw_is_one_line_too_and_traceback_shows_it(monkeypatch, capsys):
    import runner.seeds

    def fail(config, known):
        raise KeyError("surprise")

    monkeypatch.setattr(runner.seeds, "Training", fail)
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 1
    assert "KeyError" in capsys.readouterr().err
    with pytest.raises(KeyError):
        main(["traceback=true"])


def test_a_loss_that_is_not_finite_ends_the_run_with_its_own_code(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "scenario=regression",
                "optimizer=sgd",
                "optimizer.learning_rate=1e30",
                "steps=50",
                "hydra.run.dir=run",
            ]
        )
    assert stopped.value.code == 5
    assert "loss is" in capsys.readouterr().err
    assert '"status": "failed"' in Path("run/run.json").read_text()
