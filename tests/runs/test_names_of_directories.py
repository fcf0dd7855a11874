"""A run directory may have any name, such as those that Hydra makes of lists of values."""

import io

import pytest
from rich.console import Console

from runner import open_run
from runner.cli import main
from runner.process.terminal import table
from runner.storage.run_directory import below

WORDS = ["dataset=iris", "net.hidden_sizes=[4]", "dataset.batch_size=8", "figures=false", "loop.save_every=2"]


@pytest.mark.parametrize("name", ["lr[new]", "[a-z]*?", "{a,b}", "[red]a[/b]:bomb:"])
def test_each_command_works_in_a_directory_whose_name_looks_like_a_pattern_or_markup(name, capsys):
    run = f"runs/{name}"
    main([*WORDS, "steps=4", f'hydra.run.dir="{run}"'])
    main(["resume", run, "steps=6"])
    main(["evaluate", run])
    main(["diff", run, run])
    printed = capsys.readouterr().out
    assert f"{run}/evaluations/" in printed
    assert name in printed.split("configuration: 0 differences")[1]
    assert open_run(run).checkpoints.steps == [4, 6]
    for verb in ("status", "show"):
        main([verb, run])
    assert capsys.readouterr().out.startswith("status: finished")
    for verb in ("ls", "compare"):
        main([verb, "runs"])
        assert name in capsys.readouterr().out


def test_samples_of_a_run_are_written_where_they_are_said_to_be(capsys, tmp_path):
    words = ["scenario=gan", "net=mlp", *WORDS[1:], "evaluation.size=64", "steps=2"]
    main([*words, 'hydra.run.dir="gan[a]"'])
    main(["sample", "gan[a]", "n=3"])
    assert "gan[a]/samples/2.npz" in capsys.readouterr().out
    assert (tmp_path / "gan[a]" / "samples" / "2.npz").is_file()


def test_the_jobs_of_a_sweep_over_lists_are_saved_below_their_settings(capsys):
    command = ["-m", "net.hidden_sizes=[4],[4,4]", *WORDS[:1], *WORDS[2:], "steps=2", "hydra.sweep.dir=lists"]
    main([*command, "hydra.sweep.subdir=${hydra.job.override_dirname}"])
    main(["compare", "lists"])
    assert "net.hidden_sizes=[4,4]" in capsys.readouterr().out
    runs = [open_run(path) for path in sorted(below("lists"))]
    assert [run.path.name.rpartition("hidden_sizes=")[2][:5] for run in runs] == ["[4,4]", "[4],s"]
    for run in runs:
        assert (run.info.status, run.checkpoints.newest()) == ("finished", 2)
        assert run.evaluate()[0]["accuracy"] >= 0


def test_tables_show_what_looks_like_markup_as_it_is():
    texts = "[red]title:bomb:", "[/b]head", "[bold]cell[/bold]:bomb:"
    file = io.StringIO()
    Console(file=file, width=80).print(table(texts[0], [texts[1]], [[texts[2]]]))
    assert [line.strip() for line in file.getvalue().splitlines()] == [*texts]
