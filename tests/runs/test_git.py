"""The commit that a run records, and what a repository from somebody else may not do."""

import os
import subprocess

import pytest

from runner.runs.git import commit

NOBODY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.example", "GIT_COMMITTER_NAME": "a"}
NOBODY |= {"GIT_COMMITTER_EMAIL": "a@b.example", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder, *words):
    done = subprocess.run(
        ["git", *words], cwd=folder, env=os.environ | NOBODY, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "file").write_text("one\n")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def test_it_is_that_of_git_from_any_folder_below(repository):
    (repository / "below").mkdir()
    assert commit(repository) == commit(repository / "below") == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "file").write_text("other\n"),
        lambda folder: (folder / "file").unlink(),
        lambda folder: [(folder / "new").touch(), git(folder, "add", "new")],
    ],
    ids=["a file", "a missing file", "a new file"],
)
def test_a_plus_says_that_tracked_files_were_changed(repository, change):
    (repository / "untracked").touch()
    assert commit(repository) == git(repository, "rev-parse", "HEAD")
    change(repository)
    assert commit(repository) == git(repository, "rev-parse", "HEAD") + "+"


@pytest.mark.parametrize(
    "words",
    [("checkout", "--quiet", "--detach"), ("pack-refs", "--all"), ("checkout", "--quiet", "-b", "a/branch")],
    ids=lambda words: words[0] + words[-1],
)
def test_heads_of_each_kind_are_read(repository, words):
    git(repository, *words)
    assert commit(repository) == git(repository, "rev-parse", "HEAD")


def test_a_linked_working_tree_and_other_hashes_are_read(repository, tmp_path):
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    (tmp_path / "linked" / "file").write_text("other\n")
    assert commit(tmp_path / "linked") == git(tmp_path / "linked", "rev-parse", "HEAD") + "+"
    folder = tmp_path / "sha256"
    folder.mkdir()
    git(folder, "init", "--quiet", "--object-format=sha256")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    assert commit(folder) == git(folder, "rev-parse", "HEAD")


def test_without_a_commit_there_is_none(repository, tmp_path):
    assert commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert commit(tmp_path) is None
    (tmp_path / ".git" / "HEAD").unlink()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert commit(tmp_path) is None


EVIL = {
    "core.fsmonitor": "touch {} #",
    "core.hooksPath": "hooks",
    "filter.evil.clean": "touch {}; cat",
    "filter.evil.smudge": "touch {}; cat",
    "filter.evil.process": "touch {}",
    "diff.external": "touch {}",
    "diff.evil.textconv": "touch {}; cat",
    "core.pager": "touch {}",
    "core.sshCommand": "touch {}",
    "core.gitProxy": "touch {}",
    "core.alternateRefsCommand": "touch {}",
    "include.path": "more",
    "extensions.partialClone": "origin",
    "remote.origin.url": "ext::touch {}",
    "protocol.ext.allow": "always",
}


@pytest.mark.parametrize("key", EVIL)
def test_nothing_that_a_repository_names_is_run(repository, tmp_path, key):
    proof = tmp_path / "proof"
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    hooks = repository / "hooks"
    hooks.mkdir()
    for hook in (hooks / "post-index-change", hooks / "fsmonitor-watchman"):
        hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
        hook.chmod(0o755)
    (repository / ".git" / "more").write_text(f'[core]\nfsmonitor = "touch {proof} #"\n')
    git(repository, "config", key, EVIL[key].format(proof))
    (repository / "file").write_text("other\n")
    proof.unlink(missing_ok=True)
    assert commit(repository).endswith("+")
    assert not proof.exists()


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.evil.clean", "include.path"])
def test_git_itself_would_run_it(repository, tmp_path, key):
    """Otherwise the test above would prove nothing."""
    proof = tmp_path / "proof"
    (repository / ".gitattributes").write_text("* filter=evil\n")
    (repository / ".git" / "more").write_text(f'[core]\nfsmonitor = "touch {proof} #"\n')
    git(repository, "config", key, EVIL[key].format(proof))
    (repository / "file").write_text("two\n")  # of the same size, so that git has to read it
    git(repository, "status")
    assert proof.exists()
