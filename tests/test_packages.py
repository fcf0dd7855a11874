import subprocess
import sys

import pytest

import runner
from runner import core, loop, runs

CODE = """
import sys
import runner.{0}
assert not {{"jax", "haiku", "optax"}} & sys.modules.keys()
"""


@pytest.mark.parametrize("package", [runner, core, loop, runs], ids=lambda package: package.__name__)
def test_a_package_has_all_the_names_that_it_offers(package):
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["core", "compose", "loop", "storage", "runs", "commands", "process"])
def test_a_package_is_imported_without_jax(package):
    subprocess.run([sys.executable, "-c", CODE.format(package)], check=True)
