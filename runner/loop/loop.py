"""Time: how far a run goes, what is seen of it and what is kept. The scenario knows nothing of it."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

from runner.core import Key, Metrics
from runner.errors import Stopped
from runner.loop.averages import Record
from runner.loop.best import Best
from runner.loop.compiled import Keys, Program
from runner.loop.finite import are_finite, refuse_not_finite
from runner.process.compile_cache import release_programs


class Prepared(NamedTuple):
    """A scenario that was checked against its data by shapes alone, with nothing compiled.

    Attributes:
        program: the steps on the training source.
        template: shapes and dtypes of the state.
        scenario: satisfies `runner.core.Scenario`.
        validation: the source of evaluations, or None.
        evaluator: as in `Loop.run`, or None.
    """

    program: Program
    template: Any
    scenario: Any
    validation: Any
    evaluator: Any


@dataclasses.dataclass(frozen=True)
class Loop:
    """Runs a scenario.

    Attributes:
        steps: how far.
        log_every: steps whose mean is one record.
        evaluate_every: steps between evaluations on the validation split; None is only at the end.
        save_every: steps between checkpoints; None is only at the end, and at each best evaluation.
        best: the validation metric that `best` follows, or None.
        mode: "min" or "max", of `best`.
        patience: evaluations without a better one that end the run, or None.
        fuse: whether many steps share a compiled call: "always", "never", or "auto": unless, on CPU, a step holds
            a native convolution, which is many times slower in such a call.
        devices: how many share each batch, or "all".
        check_state: whether every single step's state is checked to be finite (slow; implies no fusing).
    """

    steps: int
    log_every: int = 100
    evaluate_every: int | None = None
    save_every: int | None = None
    best: str | None = None
    mode: str = "min"
    patience: int | None = None
    fuse: str = "auto"
    devices: int | str = 1
    check_state: bool = False

    def __post_init__(self):
        for name in ("steps", "log_every", "evaluate_every", "save_every", "patience", "devices"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name}: {value} is less than 1")
        for name, known in (("mode", ("min", "max")), ("fuse", ("auto", "always", "never"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: {getattr(self, name)!r} is none of {', '.join(known)}")
        if isinstance(self.devices, str) and self.devices != "all":
            raise ValueError(f"devices: {self.devices!r} is neither a count nor all")
        if self.patience is not None and self.best is None:
            raise ValueError("patience: needs a metric to follow; name it by best=")

    def run(
        self,
        scenario: Any,
        data: Any,
        *,
        key: Key,
        evaluator: Any = None,
        checkpoints: Any = None,
        writers: Sequence[Any] = (),
        warm_start: Callable[[Any], Any] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        """Trains, from the newest checkpoint where there is one, and gives the last state.

        Args:
            scenario: satisfies `runner.core.Scenario`.
            data: a `Dataset`, or the training source alone.
            key: the run's root key; equal keys give equal bits.
            evaluator: judges the validation split: `(key, scenario, state, source) -> metrics, figures`.
            checkpoints: keeps states: `restore(template)`, `save(step, state, extra, value)`, and `refuse_failed()`.
            warm_start: changes the first state, which is then judged before any step; a resumed run has no use for it.
            writers: each gets `write(step, metrics, figures)` at the end of each stretch, empty where nothing is due.
            stop: asked before each stretch, some of a second long; where it says so, the state is saved.

        Raises:
            Stopped: by `stop`; the run can go on from there.
            NotFinite: a loss, or the state, is no finite number; what was saved stays.
            StorageError: a state could not be saved; told within a stretch.
            ValueError: something does not fit; said before anything is compiled.
        """
        prepared = self.prepare(scenario, data, key=key, evaluator=evaluator)
        return self.train(
            prepared, checkpoints=checkpoints, writers=writers, warm_start=warm_start, stop=stop
        )

    def prepare(self, scenario: Any, data: Any, *, key: Key, evaluator: Any = None) -> Prepared:
        """Checks by shapes alone that the parts fit each other; compiles nothing.

        Args:
            scenario: as in `run`.
            data: as in `run`.
            key: as in `run`.
            evaluator: as in `run`.

        Raises:
            ValueError: a part does not fit another, or the evaluation lacks the metric that `best` names.
        """
        train, validation = getattr(data, "train", data), getattr(data, "validation", None)
        program = Program(scenario, train, Keys.of(key), self.devices)
        template = program.template()
        names = evaluator.names(scenario, template, validation) if evaluator is not None else ()
        if self.best is not None and self.best not in names:
            given = ", ".join(names) or "none, for there is no evaluation"
            raise ValueError(f"best: the evaluation has no metric {self.best!r}; it gives {given}")
        return Prepared(program, template, scenario, validation, evaluator)

    def train(
        self,
        prepared: Prepared,
        *,
        checkpoints: Any = None,
        writers: Sequence[Any] = (),
        warm_start: Callable[[Any], Any] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        """Trains what `prepare` returned; arguments, result and errors are those of `run`."""
        release_programs()
        program, template, scenario, validation, evaluator = prepared
        found = checkpoints.restore(template) if checkpoints is not None else None
        with ThreadPoolExecutor(1) as beside:
            state, step, extra, fused = self._begin(program, template, found, beside)
            if hasattr(evaluator, "compile"):
                beside.submit(evaluator.compile, scenario, template, validation)
            judge = functools.partial(self._judge, prepared)
            if warm_start is not None and found is None:
                state = program.place(warm_start(state))
                _write(writers, 0, *judge(state, 0))
            record, best, kept = Record(self.log_every, extra.get("rows")), Best(*extra.get("best", ())), step
            check = refuse_not_finite if self.check_state else None

            while step < self.steps and not self._stops(best):
                end, metrics, figures, value = self._boundary(step), {}, {}, None
                for newest, made, length, table in program.advance(state, step, end, fused, check, stop):
                    state, step = newest, made + length
                    records = {at: means | _rates(scenario, at) for at, means in record.add(made, table)}
                    records.setdefault(step, {})
                    metrics = records.pop(end, {})
                    for at in sorted(records):
                        _write(writers, at, records[at])
                    if checkpoints is not None:
                        checkpoints.refuse_failed()
                stopped = step < end
                if not stopped and self._due(step, self.evaluate_every):
                    judged, figures = judge(state, step)
                    metrics |= judged
                    value = judged.get(f"validation/{self.best}")
                    best = best if value is None else best.after(step, value, self.mode)
                if not stopped:
                    _write(writers, step, metrics, figures)
                due = stopped or self._due(step, self.save_every) or best.step == step or self._stops(best)
                if checkpoints is not None and due and step != kept:
                    checkpoints.save(step, state, {"rows": record.rows, "best": best, "fused": fused}, value)
                    kept = step
                if stopped:
                    raise Stopped(f"stopped at step {step}")
            return state

    def _begin(
        self, program: Program, template: Any, found: tuple | None, beside: Executor
    ) -> tuple[Any, int, dict, bool]:
        """Gives the first state, or that of a checkpoint, its step and what else it holds, and whether to fuse."""
        first = None if found else beside.submit(program.init)  # while the steps compile
        beside.submit(lambda: are_finite.lower(template).compile())
        step, state, extra = found or (0, template, {})
        fuse = {None: self.fuse, True: "always", False: "never"}[extra.get("fused")]
        fused = program.compile(state, step, "never" if self.check_state else fuse)
        return state if first is None else first.result(), step, extra, fused

    def _judge(self, prepared: Prepared, state: Any, step: int) -> tuple:
        if prepared.evaluator is None:
            return {}, {}
        key = prepared.program.keys.evaluate_at(step)
        judged, figures = prepared.evaluator(key, prepared.scenario, state, prepared.validation)
        return {f"validation/{name}": number for name, number in judged.items()}, figures

    def _stops(self, best: Best) -> bool:
        return self.patience is not None and best.misses >= self.patience

    def _boundary(self, step: int) -> int:
        """Gives the next step at which something is done: evaluate, save, end."""
        every = [interval for interval in (self.evaluate_every, self.save_every) if interval]
        return min([self.steps, *(step - step % interval + interval for interval in every)])

    def _due(self, step: int, every: int | None) -> bool:
        return step == self.steps or (every is not None and step % every == 0)


def _write(writers: Sequence[Any], step: int, metrics: Metrics, figures: Any = None) -> None:
    for writer in writers:
        writer.write(step, metrics, figures or {})


def _rates(scenario: Any, step: int) -> Metrics:
    """Gives the learning rate of the last update of `step` steps, of each optimizer that has one to tell."""
    rates = {}
    for field in dataclasses.fields(scenario):
        part = getattr(scenario, field.name)
        if hasattr(part, "rate"):
            rates[f"learning_rate/{field.name}"] = float(part.rate(step * part.updates_per_step - 1))
        elif hasattr(part, "step") and dataclasses.is_dataclass(part):  # a scenario, as in an ensemble
            rates |= _rates(part, step)
    return rates
