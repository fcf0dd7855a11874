"""Parts of run directories that somebody prepared to do harm.

Each is a function of the run directory, a copy of an honest one, and of a folder outside, which nothing may change.
"""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import zipfile
import zlib

import yaml

SECRET = "s3cr3t"
DATA = "runner.datasets."
COMMAND = "touch {outside}/pwned; cat"


def config(**changes):
    """Changes the configuration; keys are dotted, with _ for the dots."""

    def lay(run, outside):
        path = run / "config.yaml"
        plain = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            *folders, last = key.split("__")
            node = plain
            for folder in folders:
                node = node[folder]
            node[last] = value(run, outside) if callable(value) else value
        path.write_text(yaml.safe_dump(plain))

    return lay


def dataset(kind, path="{run}/data", content=None, **settings):
    """Lets the run read other data: a file with this content, or what this function lays."""

    def lay(run, outside):
        if callable(content):
            content(run / "data")
        elif content is not None:
            (run / "data").write_bytes(content)
        own = {"_target_": DATA + kind, "path": path.format(run=run, outside=outside), **settings}
        config(dataset=own)(run, outside)

    return lay


def info(**fields):
    def lay(run, outside):
        path = run / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return lay


def added(name, text):
    """Appends to a file, or makes it."""

    def lay(run, outside):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        with (run / name).open("ab") as file:
            file.write(text.format(run=run, outside=outside).encode() if isinstance(text, str) else text)

    return lay


def instead(name, make):
    """Replaces a file or folder by what `make` makes of its path."""

    def lay(run, outside):
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        make(path)

    return lay


def link(name, target):
    return lambda run, outside: instead(
        name, lambda path: path.symlink_to(target.format(run=run, outside=outside))
    )(run, outside)


def hard(*names):
    """Makes files that are also a file outside."""

    def lay(run, outside):
        for name in names:
            instead(name, lambda path: os.link(outside / "mine", path))(run, outside)

    return lay


def shared(*names):
    """Gives files of the run another name outside."""
    return lambda run, outside: [
        os.link(run / name, outside / f"{number}") for number, name in enumerate(names)
    ]


def all_of(*lays):
    return lambda run, outside: [lay(run, outside) for lay in lays]


def device(kind, major, minor):
    return lambda path: os.mknod(path, kind | 0o666, os.makedev(major, minor))


def bound(path):
    """Makes a socket."""
    before = os.getcwd()
    os.chdir(path.parent)  # its name must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


def repository(run, outside):
    """Makes a repository with all programs that its configuration can name, and a changed file."""
    identity = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "-q"], ["add", "config.yaml"], ["commit", "-q", "-m", "a"]):
        subprocess.run(["git", *words], cwd=run, env=os.environ | identity, check=True, capture_output=True)
    command = COMMAND.format(outside=outside)
    program = f"#!/bin/sh\n{command}\n"
    for folder in (run / ".git/hooks", run / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction"):
            (folder / hook).write_text(program)
            (folder / hook).chmod(0o755)
    core = "".join(
        f'\t{key} = "{command}"\n'
        for key in ("fsmonitor", "pager", "editor", "sshCommand", "askPass", "gitProxy")
    )
    evil = "".join(f'\t{key} = "{command}"\n' for key in ("clean", "smudge", "process"))
    with (run / ".git/config").open("a") as file:
        file.write(f"[core]\n{core}\thooksPath = {run}/hooks\n\texcludesFile = /dev/zero\n")
        file.write(f'[filter "evil"]\n{evil}\trequired = true\n[diff]\n\texternal = "{command}"\n')
        file.write(f'[diff "evil"]\n\ttextconv = "{command}"\n[include]\n\tpath = /dev/zero\n')
        file.write(f'[alias]\n\tstatus = "!{command}"\n[extensions]\n\tpartialClone = origin\n')
        file.write(f'[remote "origin"]\n\turl = "ext::sh -c {program!r}"\n\tpromisor = true\n')
    (run / ".gitattributes").write_text(
        "* filter=evil diff=evil text eol=crlf working-tree-encoding=UTF-16\n"
    )
    (run / ".git/info/attributes").write_text("* filter=evil\n")
    (run / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\tupdate = !{command}\n\turl = ./x\n')


def in_git(name, make):
    return all_of(repository, instead(f".git/{name}", make))


def png(side):
    chunk = lambda name, content: (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    )
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 999))
        + chunk(b"IEND", b"")
    )


def images(content):
    def lay(path):
        path.mkdir()
        for number in range(20):
            (path / f"{number}.png").write_bytes(content)

    return dataset("image_folder", content=lay, batch_size=4)


def npz(shape):
    """Makes an archive whose arrays say that they have a shape, and have few values."""

    def lay(path):
        head = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(999)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("x.npy", "y.npy", "../../../outside/pwned"):
                archive.writestr(name, array)

    return dataset("npz", content=lay)


def sealed(change):
    """Changes each checkpoint, and seals it anew."""

    def lay(run, outside):
        from runner.storage import seals

        for folder in (run / "checkpoints").iterdir():
            note = json.loads(json.loads((folder / "seal.json").read_text())["body"])["note"]
            (folder / "seal.json").unlink()
            change(folder, outside)
            seals.seal(folder, note)

    return lay


def metadata(change):
    def lay(folder, outside):
        path = folder / "state/_METADATA"
        path.write_text(json.dumps(change(json.loads(path.read_text()), outside)))

    return sealed(lay)


def renamed(prefix):
    """Lets Orbax's metadata name arrays elsewhere, in files of their own."""

    def change(saved, outside):
        names = {
            key.replace("'", f"'{prefix.format(outside=outside)}", 1): value
            for key, value in saved["tree_metadata"].items()
        }
        return saved | {"tree_metadata": names, "use_ocdbt": False}

    return metadata(change)


def zarr(**fields):
    """Changes what each array says of itself; a number stands for a list of as many as there are axes."""

    def lay(folder, outside):
        import tensorstore

        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/state/"}).result()
        for key in [key for key in store.list().result() if key.endswith(b".zarray")]:
            own = json.loads(store.read(key).result().value)
            size = len(own["shape"])
            own |= {name: [value] * size if type(value) is int else value for name, value in fields.items()}
            store.write(key, json.dumps(own).encode()).result()

    return sealed(lay)


def store_of(prefix):
    """Writes the arrays into files outside, and lets the store name these files by a prefix."""

    def lay(folder, outside):
        import tensorstore

        old = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/state/"}).result()
        content = {key: old.read(key).result().value for key in old.list().result()}
        name = prefix.format(outside=outside)
        harmless = "x" * (len(name) - 1) + "/"  # tensorstore itself writes to no other folder
        kinds = ("value_data_prefix", "btree_node_data_prefix", "version_tree_node_data_prefix")
        settings = {"driver": "ocdbt", "base": f"file://{folder}/new/", **dict.fromkeys(kinds, harmless)}
        plain = {"config": {"max_inline_value_bytes": 0, "compression": None}}
        new = tensorstore.KvStore.open(settings | plain).result()
        for key, value in content.items():
            new.write(key, value).result()
        for path in [*(folder / "new" / harmless).iterdir(), folder / "new/manifest.ocdbt"]:
            path.write_bytes(_renamed(path.read_bytes(), harmless.encode(), name.encode()))
        for path in (folder / "new" / harmless).iterdir():
            path.rename(outside / path.name)
        for path in (folder / "state").rglob("*"):
            if path.is_file() and path.name != "_METADATA":
                path.unlink()
        (folder / "new/manifest.ocdbt").rename(folder / "state/manifest.ocdbt")
        shutil.rmtree(folder / "new")

    return sealed(lay)


def _renamed(content, old, new):
    """Replaces a name by another one of its length, and corrects the checksums of the nodes that contain it."""
    from tensorboardX.crc32c import crc32c

    assert len(old) == len(new)
    changed = bytearray(content.replace(old, new))
    for node in re.finditer(b"\x0c\xdb..(.{8})", content, re.DOTALL):
        begin, size = node.start(), int.from_bytes(node[1], "little")
        end = begin + size - 4
        if content[end : end + 4] == struct.pack("<I", crc32c(content[begin:end])):
            changed[end : end + 4] = struct.pack("<I", crc32c(bytes(changed[begin:end])))
    return changed


def members(make):
    """Makes a run of two seeds, and its second member by `make`."""

    def lay(run, outside):
        shutil.copytree(run, run / "members/0")
        config(seeds=2)(run, outside)
        make(run / "members/1", outside)

    return lay


def code(*names):
    """Makes files of code, with names of what a command imports or may run."""
    return lambda run, outside: [
        added(name, "open('{outside}/pwned', 'w')\n")(run, outside) for name in names
    ]
