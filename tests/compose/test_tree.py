"""The grammar of configurations: parts, references and the walks over them."""

import pytest

from runner.compose import tree

CONFIG = {
    "net": {"_target_": "own.net", "sizes": [8, {"_target_": "own.inner", "rate": 0.1}]},
    "loss": {"_target_": "own.loss", "_partial_": True, "delta": 1.0},
    "scenario": {"_target_": "own.Scenario", "net": "@net", "options": {}},
}


def test_parts_references_and_settings_are_distinguished():
    assert [tree.is_part(node) for node in (CONFIG["net"], {}, "@net", None)] == [True, False, False, False]
    assert [tree.is_reference(node) for node in ("@net", "net", 1)] == [True, False, False]
    assert tree.referenced("@net") == "net"
    assert tree.target_of(CONFIG["loss"]) == "own.loss"
    assert [tree.is_partial(CONFIG[name]) for name in ("loss", "net")] == [True, False]
    assert tree.settings_of(CONFIG["loss"]) == {"delta": 1.0}


def test_a_walk_visits_every_node_with_its_path_parents_first():
    paths = [path for path, _ in tree.walk(CONFIG["net"], "net")]
    assert paths == [
        "net",
        "net._target_",
        "net.sizes",
        "net.sizes[0]",
        "net.sizes[1]",
        "net.sizes[1]._target_",
        "net.sizes[1].rate",
    ]


def test_leaves_are_plain_values_and_a_list_is_one_of_them():
    assert dict(tree.leaves(CONFIG["scenario"])) == {"_target_": "own.Scenario", "net": "@net", "options": {}}
    assert dict(tree.leaves({"net": {"sizes": [1, 2]}})) == {"net.sizes": [1, 2]}


def test_a_transformation_changes_children_before_their_parents_and_leaves_the_original_alone():
    seen = []
    changed = tree.transform({"a": [1, {"b": 2}]}, lambda node: seen.append(node) or node)
    assert changed == {"a": [1, {"b": 2}]}
    assert seen == [1, 2, {"b": 2}, [1, {"b": 2}], changed]


def test_references_are_followed_to_copies_of_their_parts():
    followed = tree.follow(CONFIG["scenario"], CONFIG)
    assert followed["net"] == CONFIG["net"]
    assert followed["net"] is not CONFIG["net"]
    with pytest.raises(KeyError):
        tree.follow("@nothing", CONFIG)
