"""What bad input gets: one line that says where, what and what to do, and nothing written."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from runner.cli import main
from runner.compose.build import refuse_beyond_memory

# What is refused by the words alone, without JAX.
READ = {
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
    "+foo=1": ["unknown setting foo"],
    "path=x.csv": ["unknown setting path", "did you mean dataset.path", "csv"],
    "hidden_sizes=[3]": ["unknown setting hidden_sizes", "did you mean net.hidden_sizes?"],
    "=3": ["=3", "key=value"],
    "steps=1e12": ["steps: 1000000000000.0 is not a whole number"],
    "steps=1000000000000": ["steps: 1000000000000 is more than 2147483647"],
    "seeds=99999999999": ["seeds: 99999999999 is more than 1000"],
    "ensemble=99999999999": ["ensemble: 99999999999 is more than 1000"],
    "allow=[3]": ["allow: 3 is not a name"],
    "traceback=3": ["traceback: 3 is not true or false"],
    "scenario.net=3": ["scenario.net: 3 is not a part", "say net="],
    "dataset.batch_size=99999999999": ["dataset.batch_size: 99999999999 is not at most 4294967295"],
    "optimizer.learning_rate=1e39": ["optimizer.learning_rate: 1e+39 is not a finite number in float32"],
    "steps=0": ["steps: 0 is less than 1"],
    "steps=-1": ["steps: -1 is less than 1"],
    "loop.steps=5": ["loop.steps", "steps="],
    "seed=1.5": ["seed: 1.5 is not a whole number"],
    "one_batch=3": ["one_batch: 3 is not true or false"],
    "freeze=3": ["freeze: 3 is not a name"],
    "freeze=''": ["freeze: '' is not a name"],
    "hydra.run.dir=a\0b": ["cannot read the settings"],
    "hydra.run.dir=a\nb": ["cannot read the settings"],
    "seed=-1": ["seed: -1 is less than 0"],
    "seed=4294967296": ["seed: 4294967296 is more than 4294967295"],
    "net.hidden_sizes=64": ["net.hidden_sizes", "64", "a list"],
    "net.hidden_sizes=[64.5]": ["net.hidden_sizes", "whole number"],
    "optimizer.learning_rate=nan": ["optimizer.learning_rate", "finite", "nan"],
    "optimizer.learning_rate=inf": ["optimizer.learning_rate", "finite", "inf"],
    "optimizer.learning_rate=fast": ["optimizer.learning_rate", "'fast' is not a number"],
    "optimizer.schedule=cosine": ["optimizer.schedule", "schedule=cosine"],
    "optimizer.eps=nan": ["optimizer.eps: nan is not a finite number"],
    "optimizer=adamw optimizer.weight_decay=inf": ["optimizer.weight_decay: inf is not a finite number"],
    "schedule=piecewise schedule.boundaries=[0.5,nan]": ["schedule.boundaries", "nan", "a number"],
    "scenario=gan scenario.generator.hidden_sizes=[4]": ["net.hidden_sizes", "net@scenario.generator"],
    "scenario=ode_gan integrator@scenario.integrator=rk5": ["integrator", "rk5", "rk4"],
    "scenario=language_model dataset=digits": ["dataset.length"],
    "ensemble=0": ["ensemble: 0 is less than 1"],
    "ensemble=many": ["ensemble: 'many' is not a whole number or null"],
    "ema=1": ["ema: 1 is not a decay, from 0 to less than 1"],
    "ema=-0.5": ["ema: -0.5 is not a decay"],
    "ema=nan": ["ema: nan is not a decay"],
    "ema=true": ["ema: True is not a number or null"],
    "init_step=5": ["init_step", "init_from=RUN"],
    "evaluation=features": ["evaluation.features.run is missing"],
    "loss._target_=optax.losses.nothing": ["loss._target_", "optax.losses.nothing"],
    "--config-dir nowhere": ["--config-dir", "nowhere"],
    "evalute run": ["unknown verb evalute", "did you mean evaluate?"],
    "evaluate": ["runner evaluate"],
    "show nowhere": ["nowhere", "holds no run"],
    "parts nets": ["nets", "net"],
}
# What is refused once parts are built.
BUILT = {
    f"hydra.run.dir={'a' * 300}": ["run directory", "File name too long"],
    "net.hidden_sizes=[-3]": ["net.hidden_sizes: -3 is less than 1"],
    "net.hidden_sizes=[0]": ["net.hidden_sizes: 0 is less than 1"],
    "net.activation=rellu": ["net.activation", "did you mean relu?"],
    "net.dropout=1.5": ["net.dropout", "1.5"],
    "dataset.batch_size=0": ["dataset.batch_size: 0 rows", "need 1 to 1257"],
    "dataset.batch_size=100000": ["dataset.batch_size", "100000"],
    "optimizer.learning_rate=-1": ["optimizer.learning_rate", "above 0", "-1"],
    "optimizer.eps=-1": ["optimizer.eps", "finite", "-1"],
    "optimizer.b1=1": ["optimizer.b1: 1.0 is not a decay"],
    "optimizer=rmsprop optimizer.decay=-0.1": ["optimizer.decay", "from 0", "-0.1"],
    "optimizer=sgd optimizer.momentum=1.5": ["optimizer.momentum: 1.5 is not a decay"],
    "optimizer.horizon=0 schedule=cosine": ["optimizer.horizon: 0.0 is not above 0"],
    "optimizer.clip=0": ["optimizer.clip", "above 0"],
    "dataset.validation=2": ["dataset.validation: 2.0 is not a fraction of the rows"],
    "dataset.validation=0.6 dataset.test=0.6": ["dataset.test", "leave none to train on"],
    "dataset.split_seed=-1": ["dataset.split_seed: -1 is less than 0"],
    "loop.log_every=0": ["loop.log_every: 0 is less than 1"],
    "loop.fuse=maybe": ["loop.fuse", "auto, always, never"],
    "loop.best=acuracy": ["best", "acuracy", "accuracy"],
    "loop.patience=0": ["loop.patience: 0 is less than 1"],
    "loop.mode=most": ["loop.mode", "min, max"],
    "loop.best=null loop.mode=min": ["loop.mode=min", "loop.best"],
    "optimizer=sgd optimizer.nesterov=true": ["optimizer.nesterov", "momentum"],
    "loop.devices=99": ["loop.devices: 99 are asked for"],
    "loop.devices=many": ["loop.devices: 'many' is neither a number from 1 up nor all"],
    "loop.devices=0": ["loop.devices: 0 is neither a number from 1 up nor all"],
    "net.hidden_sizes=[99999999]": ["take", "GB"],
    "loss=hinge": ["scenario.loss", "cross_entropy"],
    "loss=squared_error": ["loss: squared_error", "float32[64, 10] and int32[64]"],
    "scenario=gan loss=cross_entropy": ["scenario.loss", "non_saturating"],
    "scenario=gan scenario.latent_size=0": ["scenario.latent_size: 0 is less than 1"],
    "scenario=diffusion scenario.diffusion_steps=0": ["scenario.diffusion_steps: 0 is less than 1"],
    "scenario=diffusion scenario.min_signal_rate=0.99": ["scenario.min_signal_rate", "rising order"],
    "scenario=diffusion scenario.max_signal_rate=1": ["scenario.min_signal_rate", "0 and 1"],
    "scenario=diffusion net=unet dataset=ring": ["net: unet makes images"],
    "scenario=diffusion net=unet net.channels=[4,4,4,4,4]": ["channels: unet halves images of 8 x 8 4 times"],
    "scenario=diffusion net=mlp": ["do not fit", "mlp"],
    "scenario=ode_gan scenario.step_size=0": ["scenario.step_size: 0.0 is not above 0"],
    "scenario=ode_gan loss=squared_error": ["scenario.loss", "two players"],
    "scenario=autoencoder scenario.code_size=0": ["scenario.code_size: 0 is less than 1"],
    "scenario=vae dataset=ring": ["dataset", "loss=gaussian"],
    "scenario=vae loss=cross_entropy": ["scenario.loss", "likelihood"],
    "scenario=language_model dataset.size=100": ["dataset.length", "5 tokens", "window of 32"],
    "scenario=language_model dataset=text dataset.path=no.txt": ["dataset.path", "no.txt"],
    "scenario=language_model net=mlp": ["net: returns [B, 16], and [B, 32, 16] is needed"],
    "scenario=ppo dataset=digits": ["dataset", "dataset=nothing"],
    "scenario=ppo scenario.minibatches=3": ["scenario.minibatches: 3 do not divide 16 x 128"],
    "dataset=image_folder dataset.path=nowhere": ["dataset.path", "nowhere", "fetch https://"],
    "init_from=nowhere": ["init_from", "nowhere", "holds no run"],
    "freeze=net.params.nothing": ["freeze: nothing is named net.params.nothing"],
    "watch=nothing": ["watch: nothing is named nothing; there are net.params"],
    "scenario=regression dataset=digits": ["classes", "scenario=supervised"],
    "dataset=diabetes": ["no classes", "scenario=regression"],
    "net=cnn dataset=iris": ["cnn needs images", "mlp"],
    "evaluation=samples": ["sample"],
    "dataset=mnist dataset.path=nowhere": ["dataset.path", "nowhere"],
    "dataset=npz dataset.path=no.npz": ["dataset.path", "no.npz"],
    "optimizer.schedule=null": ["optimizer.schedule: None is not a schedule", "schedule=constant"],
    "schedule=cosine schedule.final=-1": ["schedule.final: -1.0 is not a share of the full rate"],
    "schedule=warmup_cosine schedule.final=2": ["schedule.final: 2.0 is not a share of the full rate"],
    "schedule=piecewise schedule.factor=0": ["schedule.factor: 0.0 is not above 0"],
    "schedule=piecewise schedule.boundaries=[2]": ["schedule.boundaries: 2 is not a fraction of the run"],
    "scenario=gan scenario.r1=-1": ["scenario.r1: -1.0 is not a finite number from 0 up"],
    "scenario=gan scenario.gradient_penalty=-1": ["scenario.gradient_penalty: -1.0", "from 0 up"],
    "scenario=gan scenario.ema=1": ["scenario.ema: 1.0 is not a decay"],
    "scenario=gan ema=0.9": ["ema: the scenario has an average of its own", "scenario.ema=null"],
    "scenario=diffusion ema=0.9 ensemble=2": ["ema: the scenario has an average of its own"],
    "scenario=gan scenario.critic_steps=1001": ["scenario.critic_steps: 1001 is more than 1000"],
    "scenario=gan dataset.modes=99999999": ["dataset.modes", "more than 10000"],
    "scenario=gan dataset=grid dataset.side=101": ["dataset.side: 101 makes 10201 Gaussians"],
    "scenario=gan evaluation.features=3": ["evaluation.features", "evaluation=features"],
    "scenario=ode_gan scenario.regularization=-1": ["scenario.regularization: -1.0", "from 0 up"],
    "scenario=vae scenario.beta=-1": ["scenario.beta: -1.0", "from 0 up"],
    "scenario=diffusion scenario.image_weight=-1": ["scenario.image_weight: -1.0", "from 0 up"],
    "net=cnn net.kernel_size=65": ["net.kernel_size: 65 is more than 64"],
    "scenario=diffusion net.blocks=1001": ["net.blocks: 1001 is more than 1000"],
    "scenario=language_model net.layers=1001": ["net.layers: 1001 is more than 1000"],
    "scenario=language_model dataset.size=99999999": ["dataset.size: 99999999 is more than 10000000"],
    "scenario=regression dataset=line dataset.size=99999999": ["dataset.size: 99999999 is more than"],
    "scenario=regression loss=huber loss.delta=-1": ["delta: -1.0 is not above 0"],
    "scenario=ppo scenario.entropy_weight=-1": ["scenario.entropy_weight: -1.0", "from 0 up"],
    "scenario=ppo scenario.environment.gravity=-1": ["scenario.environment.gravity: -1.0 is not above 0"],
    "scenario=ppo scenario.environments=99999999": ["scenario.environments: 99999999 x 128 transitions"],
    "evaluate nowhere": ["nowhere", "holds no run"],
    "resume nowhere steps=3": ["nowhere", "holds no run"],
}

# A configuration `net/bad.yaml` of the user's own.
YAML = {
    "a: [1\nb: 2\n": ["not valid YAML", "bad.yaml", "line 2"],
    "a:\n\tb: 1\n": ["not valid YAML", "bad.yaml", "line 2"],
    "\0": ["not valid YAML", "bad.yaml"],
    "a: &a\n  b: *a\n": ["holds itself"],
    f"a: {'[' * 5000}{']' * 5000}\n": ["too deep"],
    "a: !!python/object/apply:os.system [ls]\n": ["not valid YAML", "os.system", "line 1"],
    "a: 1\na: 2\n": ["not valid YAML", "duplicate key a"],
    "5\n": ["Invalid loaded object type: int"],
    "- 1\n": ["there is no part 'net'"],
    "": ["net names no part"],
    "_target_: ''\n": ["net._target_: there is no ''"],
    "_target_: runner.nets.nothing\n": ["net._target_: there is no 'runner.nets.nothing'"],
    "_target_: runner.nets.mlp\n1: 2\n": ["net.1: mlp has no such setting"],
    "_target_: runner.nets.mlp\nactivation: ${nothing}\n": ["'nothing' not found", "net.activation"],
    "_target_: runner.nets.mlp\nactivation: ${oc.env:NOTHING}\n": ["'NOTHING' not found", "net.activation"],
}


@pytest.mark.parametrize(("command", "words"), (READ | BUILT).items())
def test_a_wrong_command_is_refused_by_one_line_and_nothing_is_written(command, words, refused):
    line = refused(command.split(" "))
    assert all(word in line for word in words), line


@pytest.mark.parametrize("several", [["-m", "seed=0,1"], ["-m"], ["seeds=2"], ["-m", "seeds=2"]])
@pytest.mark.parametrize(
    "wrong", ["net.hidden_sizes=[0]", "dataset=npz dataset.path=no.npz", "loss=squared_error"]
)
def test_several_runs_of_which_none_can_be_built_are_refused_and_nothing_is_written(several, wrong, refused):
    refused([*wrong.split(" "), *several])


def test_what_is_wrong_in_the_words_alone_is_refused_without_jax():
    code = f"""
import sys
from runner.cli import main
for command in {list(READ)}:
    try:
        main(command.split(" "))
    except SystemExit:
        pass
    assert "jax" not in sys.modules, command
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_run_directory_that_holds_something_else_is_refused(refused):
    Path("run").mkdir()
    Path("run/notes.txt").write_text("mine")
    assert "holds files, but no run" in refused(["hydra.run.dir=run"])


def test_a_run_directory_of_another_configuration_is_refused_by_key(runs, refused):
    line = refused(["scenario=gan", f"hydra.run.dir={runs / 'supervised'}"])
    assert "another configuration" in line
    assert "there" in line
    assert "asked for" in line


@pytest.mark.parametrize("path", ["run", "notes/run"])
def test_a_run_directory_that_is_or_lies_in_a_file_is_refused(path, refused):
    Path(path.split("/")[0]).write_text("mine")
    assert "is a file" in refused([f"hydra.run.dir={path}"])


@pytest.mark.parametrize("text", YAML)
def test_a_wrong_file_of_settings_is_refused_by_line_or_key(text, refused):
    Path("conf/net").mkdir(parents=True)
    Path("conf/net/bad.yaml").write_text(text)
    line = refused(["--config-dir", "conf", "net=bad"])
    assert all(word in line for word in YAML[text]), line


def test_a_state_that_no_memory_holds_is_refused_by_its_size():
    with pytest.raises(ValueError, match=r"take 4e\+09 GB, and there are"):
        refuse_beyond_memory({"w": jax.ShapeDtypeStruct((10**9, 10**9), np.float32)})


def test_a_failure_that_nobody_foresaw_is_one_line_too_and_traceback_shows_it(monkeypatch, capsys):
    import runner.runs.seeds

    def fail(*_):
        raise KeyError("surprise")

    monkeypatch.setattr(runner.runs.seeds, "Training", fail)
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
