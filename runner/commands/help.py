"""The help of each verb: usage, options and examples."""

from typing import NamedTuple


class Help(NamedTuple):
    """What `runner VERB --help` shows below the description of the verb."""

    usage: str
    options: dict[str, str]
    examples: list[str]

    def text(self, verb: str, about: str) -> str:
        """Returns the lines of the help."""
        width = max(map(len, self.options), default=0)
        options = [f"  {option:{width}}  {meaning}" for option, meaning in self.options.items()]
        examples = [f"  runner {verb} {example}".rstrip() for example in self.examples]
        parts = [
            [f"usage: runner {verb} {self.usage}"],
            [about],
            ["options:", *options],
            ["examples:", *examples],
        ]
        return "\n\n".join("\n".join(part) for part in parts)


STEP = {"step=N": "the step of the checkpoint; by default the best, or the last without loop.best"}
TRUST = {"trust_code=true": "run the code that the configuration names, and follow links"}
DATA = {
    "dataset.path=PATH": "evaluate other data, which must fit the net",
    "allow=data": "evaluate data that have changed since the run began",
}
JSON = {"--json": "print one JSON value and nothing else; what is not finite is null"}
ORDER = {
    "by=METRIC": "the metric that orders the runs; by default that of loop.best",
    "mode=min|max": "which values are better; by default as the metric declares it",
}
SHOWN = {"--help": "show this help", "traceback=true": "show the whole traceback of an error"}
RUN = "RUN [OPTION...]"

HELP = {
    "resume": Help(
        "RUN [SETTING=VALUE...]",
        {
            "steps=N": "train to this step",
            "loop.log_every=N": "and other intervals, loop.patience and figures may change",
            "allow=KEY": "let another setting change, which is given as well; allow=[KEY,...] for several",
            **TRUST,
        },
        [
            "runs/ring",
            "runs/ring steps=8000",
            "runs/ring optimizer.learning_rate=1e-4 allow=optimizer.learning_rate",
        ],
    ),
    "check": Help(
        "[OPTION...] [SETTING=VALUE...]",
        {
            "--config-dir DIR": "a folder with further parts",
            "--json": "print the results as JSON and nothing else",
            "SETTING=VALUE": "as of a run",
        },
        ["scenario=gan net=mlp"],
    ),
    "status": Help(RUN, JSON, ["runs/ring", "runs/ring --json"]),
    "replay": Help(RUN, TRUST, ["runs/ring"]),
    "evaluate": Help(
        RUN,
        {"split=train|validation|test": "the split; by default validation", **STEP, **DATA, **TRUST, **JSON},
        ["runs/digits", "runs/digits split=test", "runs/digits step=500 --json"],
    ),
    "figures": Help(RUN, {**STEP, **DATA, **TRUST}, ["runs/digits"]),
    "sample": Help(
        "RUN [OPTION...] [SETTING=VALUE...]",
        {
            "n=N": "the number of samples; by default 64",
            "seed=N": "equal seeds draw equal samples; by default 0",
            **STEP,
            **TRUST,
            "SETTING=VALUE": "a setting of the scenario, such as temperature, prompt or diffusion_steps",
        },
        ["runs/ring n=64", 'runs/book n=3 temperature=0.8 prompt="The "'],
    ),
    "predict": Help(
        "RUN FILE [OPTION...]",
        {
            "output=FILE": "the .csv or .parquet that is written; by default in predictions/ of the run",
            "strict=true": "refuse rows that cannot be read; by default they are reported, and left empty",
            **STEP,
            **TRUST,
            **JSON,
        },
        ["runs/houses houses.csv", "runs/houses houses.csv output=prices.parquet", "runs/photos new_photos"],
    ),
    "parts": Help("[GROUP]", {}, ["", "net"]),
    "ls": Help(
        "[FOLDER] [OPTION...] [SETTING=VALUE...]",
        {
            "SETTING=VALUE": "list only runs with this setting, choice, status, name or tag; * and ? match any text",
            **JSON,
        },
        ["", "runs", "runs tags=baseline status=finished", "runs scenario=gan 'name=ring*' --json"],
    ),
    "show": Help(RUN, JSON, ["runs/digits", "runs/digits --json"]),
    "diff": Help("RUN RUN", {}, ["runs/digits runs/ring"]),
    "compare": Help(
        "FOLDER [OPTION...]",
        {**ORDER, **JSON},
        ["runs/rates", "runs/rates by=accuracy", "runs/rates --json"],
    ),
    "best": Help("FOLDER [OPTION...]", {**ORDER, **JSON}, ["runs/rates", "runs/rates by=accuracy --json"]),
}


def help_of(verb: str, about: str) -> str:
    """Returns the help of a verb, of which `about` is the description."""
    own = HELP[verb]
    return own._replace(options={**own.options, **SHOWN}).text(verb, about)
