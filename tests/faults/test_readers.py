"""Readers of a run that is being written."""

import functools
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor

import jax
import pytest

import faults.programs
import faults.readers
from faults import subject
from runner.errors import Misfit
from runner.storage import arrays, seals
from runner.storage.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

TEMPLATE = jax.eval_shape(lambda: subject.state(0))


def test_none_fails_nor_gets_anything_torn_nor_disturbs_the_writer():
    program = functools.partial(faults.readers.readers, saves=12)
    # Orbax's own threads complain, some time later, of a step that goes away under them: let them do it elsewhere.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        (tally,) = apart.submit(faults.programs.run, program).result()
    assert (tally.lost, tally.silent, tally.failures) == (0, 0, [])


@pytest.mark.parametrize("place", [(seals, "verify"), (arrays, "read")], ids=["checked", "read"])
def test_of_a_step_that_is_deleted_while_it_is_read_another_is_given_or_its_absence_reported(
    tmp_path, monkeypatch, place
):
    own = getattr(*place)

    def late(folder, *rest):
        monkeypatch.undo()
        shutil.rmtree(folder)
        return own(folder, *rest)

    subject.save(tmp_path, 2, 4, 6)
    monkeypatch.setattr(*place, late)
    assert subject.load(tmp_path) == (4, [])
    subject.save(tmp_path, 6)
    monkeypatch.setattr(*place, late)
    with pytest.raises(Misfit, match="there is no checkpoint of step 6; there are 2, 4"):
        Checkpoints(tmp_path).restore(TEMPLATE, 6)
