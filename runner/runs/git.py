"""The git commit of a folder, without the programs that the configuration of a repository may name."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from runner.process.files import read_small

OBJECT_NAME = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CONFIG = "[core]\nrepositoryFormatVersion = 1\n[extensions]\nobjectFormat = {}\n"


def commit(folder: Path) -> str | None:
    """Returns the checked-out commit, with a plus if a tracked file was changed; None if there is no repository.

    A repository may come from somebody else, and its configuration can name programs that git runs, such as
    `core.fsmonitor` and filters. So git reads another configuration, in a temporary folder that stands for `.git`.
    A file that a filter changes on its way into the repository may therefore count as changed.
    """
    try:
        root = next(parent for parent in (folder, *folder.parents) if (parent / ".git").exists())
        own, common = _folders(root / ".git")
        head = _head(own, common)
        return head + ("+" if _is_changed(root, own, common, head) else "")
    except (StopIteration, LookupError, OSError, ValueError, subprocess.SubprocessError):
        return None


def _folders(git: Path) -> tuple[Path, Path]:
    """Returns the folder of a working tree, and that of the repository, of which a linked working tree has its own."""
    if git.is_dir():
        return git, git
    own = git.parent / read_small(git).removeprefix("gitdir:").strip()
    link = own / "commondir"
    return own, own / read_small(link).strip() if link.exists() else own


def _head(own: Path, common: Path) -> str:
    head = read_small(own / "HEAD").strip()
    if head.startswith("ref:"):
        name = head.removeprefix("ref:").strip()
        loose = [path for path in (own / name, common / name) if path.is_file()]
        head = read_small(loose[0]).strip() if loose else _packed(common)[name]
    if not OBJECT_NAME.fullmatch(head):
        raise ValueError(f"{own}: has no commit")
    return head


def _packed(common: Path) -> dict[str, str]:
    lines = read_small(common / "packed-refs").splitlines()
    return {name: value for value, _, name in (line.partition(" ") for line in lines)}


def _is_changed(root: Path, own: Path, common: Path, head: str) -> bool:
    with tempfile.TemporaryDirectory() as name:
        git = Path(name)
        (git / "refs").mkdir()
        (git / "HEAD").write_text(head, encoding="utf-8")
        (git / "config").write_text(CONFIG.format("sha1" if len(head) == 40 else "sha256"), encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {
            "GIT_DIR": name,
            "GIT_WORK_TREE": str(root),
            "GIT_INDEX_FILE": str(own / "index"),
            "GIT_OBJECT_DIRECTORY": str(common / "objects"),
            "GIT_OPTIONAL_LOCKS": "0",  # git writes nothing into the repository
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        # A submodule has a configuration of its own.
        words = ["git", "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"]
        done = subprocess.run(
            words,
            env=environment,
            cwd=root,
            capture_output=True,
            check=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
        )
        return bool(done.stdout.strip())
