"""`augment` is a group of which a run has any number of choices, in their order."""

import pytest

from runner.compose.command_line import compose
from runner.errors import ConfigError


def test_the_choices_are_kept_in_their_order_with_their_settings():
    assert "augment" not in compose([])
    assert [*compose(["augment=flip"])["augment"]] == ["flip"]
    parts = compose(["augment=[crop,flip]", "augment.crop.padding=0.25"])["augment"]
    assert [*parts] == ["crop", "flip"]
    assert parts["crop"] == {"_target_": "runner.augmentations.crop", "_partial_": True, "padding": 0.25}


def test_functions_of_ones_own_are_choices_by_file_and_by_name(tmp_path):
    (tmp_path / "augment").mkdir()
    (tmp_path / "augment" / "strong.yaml").write_text(
        "# @package augment.strong\n_target_: runner.augmentations.erase\n_partial_: true\narea: 0.5\n"
    )
    words = [
        "augment=[strong,runner.augmentations.crop]",
        "augment.crop.padding=0.5",
        "augment.strong.area=0.6",
    ]
    parts = compose(words, [str(tmp_path)])["augment"]
    assert parts["strong"]["area"] == 0.6
    assert parts["crop"] == {"_target_": "runner.augmentations.crop", "_partial_": True, "padding": 0.5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["augment=[flup]"], "unknown augment flup; did you mean flip?; known: color, crop, erase, flip"),
        (["augment=[flip,flip]"], "augment: flip is given twice"),
        (["augment=null"], "augment: null is no choice; say augment=[] for none"),
        (["augment=[no.such.name]"], "augment: there is no no.such.name"),
        (["augment=3"], "augment: 3 is not a plain name"),
        (
            ["augment.crop.padding=0.3"],
            "unknown setting augment.crop.padding; choose its parts first, by augment=[CHOICE,...]",
        ),
        (["augment=[crop]", "augment.crop.padding=x"], "augment.crop.padding: 'x' is not a number"),
        (
            ["augment=[crop]", "augment.crop.paddin=1"],
            "unknown setting augment.crop.paddin; did you mean padding?",
        ),
    ],
)
def test_a_wrong_choice_is_named(words, message):
    with pytest.raises(ConfigError) as refused:
        compose(words)
    assert str(refused.value).startswith(message)
