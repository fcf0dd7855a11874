"""The loop: the length of a run, and the intervals of its log, evaluations and checkpoints."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
from jax.typing import ArrayLike

from runner.core import Dataset, Evaluator, Figures, Key, Metrics, Scenario, Source, State, Writer
from runner.core.abilities import Compiling, Naming, declared, refuse_misspelled, supports
from runner.core.bounds import Bound, count, one_of, optional, require
from runner.errors import Stopped
from runner.loop.best import Best, mode_of
from runner.loop.compiled import Keys, Program
from runner.loop.finite import are_finite, refuse_not_finite
from runner.loop.log_averages import Record
from runner.loop.prepared import Prepared, Store
from runner.process.compile_cache import release_programs

number_of_devices = Bound(
    lambda value: value == "all" or (isinstance(value, int) and value >= 1),
    "{value!r} is neither a number from 1 up nor all",
)


@dataclasses.dataclass(frozen=True)
class Loop:
    """Runs a scenario.

    Attributes:
        steps: the number of steps of the run.
        log_every: steps over whose means one record is written.
        evaluate_every: steps between evaluations on the validation split; None evaluates only at the end.
        save_every: steps between checkpoints; None saves only at the end, and at each best evaluation.
        best: the validation metric by which the best checkpoint is chosen, or None.
        mode: whether the best value of this metric is the "min" or the "max"; None takes the direction that what
            computes the metric declares (`runner.core.abilities.Declaring`), and is refused if it declares none.
        patience: consecutive evaluations without improvement after which the run ends, or None.
        fuse: whether many steps share one compiled call: "always", "never", or "auto", which is "never" on CPU if a
            step contains a native convolution, many times slower in such a call, and otherwise "always".
        devices: the number of devices that share each batch, or "all".
        check_state: whether to check that the state is finite after every step (slow; implies no fusing).
    """

    steps: int
    log_every: int = 100
    evaluate_every: int | None = None
    save_every: int | None = None
    best: str | None = None
    mode: str | None = None
    patience: int | None = None
    fuse: str = "auto"
    devices: int | str = 1
    check_state: bool = False

    def __post_init__(self):
        require(
            self, steps=count, log_every=count, evaluate_every=optional(count), save_every=optional(count)
        )
        require(self, patience=optional(count), devices=number_of_devices)
        require(self, mode=optional(one_of("min", "max")), fuse=one_of("auto", "always", "never"))
        if self.patience is not None and self.best is None:
            raise ValueError("patience: needs a metric to follow; name it by best=")

    def run(
        self,
        scenario: Scenario[State],
        data: Dataset | Source,
        *,
        key: Key,
        evaluator: Evaluator[State] | None = None,
        checkpoints: Store | None = None,
        writers: Sequence[Writer] = (),
        warm_start: Callable[[State], State] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> State:
        """Trains, from the newest checkpoint if there is one, and returns the last state.

        Args:
            scenario: satisfies `runner.core.Scenario`.
            data: a `Dataset`, or the training source alone.
            key: the root key of the run; equal keys result in equal bits.
            evaluator: evaluates the validation split: `(key, scenario, state, source) -> metrics, figures`. The names
                of a function's metrics are known only after its first evaluation, which then checks `best`.
            checkpoints: stores states, such as `runner.Checkpoints`. The last save is on the disk when this method
                returns or raises an error.
            warm_start: changes the first state, which is then evaluated before any step; not used by a resumed run.
            writers: each receives `write(step, metrics, figures)` at the end of each chunk, empty if nothing is due;
                they are not closed.
            stop: called before each chunk, which takes at most about a second; if it returns true, the state is saved
                and the run stops.

        Raises:
            Stopped: `stop` returned true; the run can be resumed.
            NotFinite: a loss, or the state, is not finite; saved checkpoints are kept.
            StorageError: a state could not be saved; raised within one chunk, or at the end.
            ValueError: two parts do not fit each other; raised before anything is compiled.
        """
        prepared = self.prepare(scenario, data, key=key, evaluator=evaluator)
        return self.train(
            prepared, checkpoints=checkpoints, writers=writers, warm_start=warm_start, stop=stop
        )

    def prepare(
        self,
        scenario: Scenario[State],
        data: Dataset | Source,
        *,
        key: Key,
        evaluator: Evaluator[State] | None = None,
        saved: bool = False,
    ) -> Prepared[State]:
        """Checks by shapes alone that the parts fit each other, without a compile.

        Args:
            scenario: as in `run`.
            data: as in `run`.
            key: as in `run`.
            evaluator: as in `run`.
            saved: whether the settings are those of a saved run, which keeps a `mode` that contradicts the metric.

        Raises:
            ValueError: a part does not fit another, a member of the scenario is misspelled, the evaluation has no
                metric of the name `best`, or its direction is unknown or contradicts `mode`.
        """
        refuse_misspelled(scenario)
        train, validation = (data.train, data.validation) if isinstance(data, Dataset) else (data, None)
        program = Program(scenario, train, Keys.of(key), self.devices)
        template = program.template()
        if evaluator is None:
            self._refuse_unknown_best(())
        elif validation is None:
            raise ValueError("evaluator: there is no validation split; pass a Dataset instead of its source")
        elif supports(evaluator, Naming):
            self._refuse_unknown_best(evaluator.names(scenario, template, validation))
        metrics = declared(scenario, evaluator)
        mode = None if self.best is None else mode_of(self.best, self.mode, metrics, saved)
        return Prepared(program, template, scenario, validation, evaluator, metrics, mode)

    def _refuse_unknown_best(self, names: Collection[str]) -> None:
        if self.best is not None and self.best not in names:
            known = ", ".join(names) or "none, because there is no evaluation"
            raise ValueError(f"best: the evaluation has no metric {self.best!r}; it returns {known}")

    def train(
        self,
        prepared: Prepared[State],
        *,
        checkpoints: Store | None = None,
        writers: Sequence[Writer] = (),
        warm_start: Callable[[State], State] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> State:
        """Trains a prepared scenario; arguments, result and errors are those of `run`."""
        release_programs()
        program, template, scenario, validation, evaluator, *_ = prepared
        restored = checkpoints.restore(template) if checkpoints is not None else None
        with _waiting_for_the_last_save(checkpoints), ThreadPoolExecutor(1) as executor:
            state, step, extra, fused = self._begin(program, template, restored, executor)
            if validation is not None and supports(evaluator, Compiling):
                executor.submit(evaluator.compile, scenario, template, validation)
            if warm_start is not None and restored is None:
                state = program.place(warm_start(state))
                _write(writers, 0, *self._evaluate(prepared, state, 0))
            return self._steps(prepared, state, step, extra, fused, checkpoints, writers, stop)

    def _steps(
        self,
        prepared: Prepared[State],
        state: State,
        step: int,
        extra: dict,
        fused: bool,
        checkpoints: Store | None,
        writers: Sequence[Writer],
        stop: Callable[[], bool] | None,
    ) -> State:
        """Trains from a state after `step` steps, and returns the last state."""
        record, best, saved = Record(self.log_every, extra.get("rows")), Best(*extra.get("best", ())), step
        check = refuse_not_finite if self.check_state else None
        while step < self.steps and not self._stops(best):
            end, metrics, figures, value = self._boundary(step), {}, {}, None
            for newest, start, length, table in prepared.program.advance(
                state, step, end, fused, check, stop
            ):
                state, step = newest, start + length
                metrics = _write_means(writers, prepared.scenario, record.add(start, table), step, end)
                if checkpoints is not None:
                    checkpoints.refuse_failed()
            stopped = step < end
            if not stopped and self._due(step, self.evaluate_every):
                evaluation, figures = self._evaluate(prepared, state, step)
                metrics |= evaluation
                value = evaluation.get(f"validation/{self.best}")
                best = best if value is None else best.after(step, value, prepared.mode or "min")
            metrics = self._last_means(prepared.scenario, step, record, best) | metrics
            if not stopped:
                _write(writers, step, metrics, figures)
            due = stopped or self._due(step, self.save_every) or best.step == step or self._stops(best)
            if checkpoints is not None and due and step != saved:
                extra = {"rows": record.rows, "best": best, "mode": prepared.mode, "fused": fused}
                checkpoints.save(step, state, extra | prepared.program.position(step), value)
                saved = step
            if stopped:
                raise Stopped(f"stopped at step {step}")
        return state

    def _begin(
        self,
        program: Program[State],
        template: State,
        restored: tuple[int, State, dict] | None,
        executor: Executor,
    ) -> tuple[State, int, dict, bool]:
        """Returns the first or the restored state, its step, what else the checkpoint holds, and whether to fuse."""
        first = None if restored else executor.submit(program.init)  # while the steps compile
        executor.submit(lambda: are_finite.lower(template).compile())
        step, state, extra = restored or (0, template, {})
        if restored:
            program.seek(step, extra.get("position"))
        fuse = {None: self.fuse, True: "always", False: "never"}[extra.get("fused")]
        fused = program.compile(state, step, "never" if self.check_state else fuse)
        return state if first is None else first.result(), step, extra, fused

    def _evaluate(self, prepared: Prepared[State], state: State, step: int) -> tuple[Metrics, Figures]:
        _, _, scenario, validation, evaluator, *_ = prepared
        if evaluator is None or validation is None:
            return {}, {}
        metrics, figures = evaluator(prepared.program.keys.evaluate_at(step), scenario, state, validation)
        if not supports(evaluator, Naming):
            self._refuse_unknown_best(metrics)
        return {f"validation/{name}": _number(name, value) for name, value in metrics.items()}, figures

    def _last_means(self, scenario: Scenario, step: int, record: Record, best: Best) -> Metrics:
        """Returns the means over the open log interval if this is the last step."""
        ends = step == self.steps or self._stops(best)
        return _with_rates(scenario, step, record.means()) if ends else {}

    def _stops(self, best: Best) -> bool:
        return self.patience is not None and best.misses >= self.patience

    def _boundary(self, step: int) -> int:
        """Returns the next step at which the run evaluates, saves or ends."""
        every = [interval for interval in (self.evaluate_every, self.save_every) if interval]
        return min([self.steps, *(step - step % interval + interval for interval in every)])

    def _due(self, step: int, every: int | None) -> bool:
        return step == self.steps or (every is not None and step % every == 0)


def _number(name: str, value: ArrayLike) -> float:
    if np.ndim(value):
        raise ValueError(f"{name}: the evaluator returns an array {np.shape(value)}; a metric is one number")
    return float(np.asarray(value))


@contextlib.contextmanager
def _waiting_for_the_last_save(checkpoints: Store | None) -> Iterator[None]:
    try:
        yield
    finally:  # also after an error; that of the save, if it fails, is then raised in its context
        if checkpoints is not None:
            checkpoints.wait()


def _write(writers: Sequence[Writer], step: int, metrics: Metrics, figures: Figures | None = None) -> None:
    for writer in writers:
        writer.write(step, metrics, figures or {})


def _write_means(
    writers: Sequence[Writer], scenario: Scenario, means: Iterable[tuple[int, Metrics]], step: int, end: int
) -> Metrics:
    """Writes the means of the log intervals up to `step`; those of step `end` are returned instead."""
    records = {at: _with_rates(scenario, at, values) for at, values in means}
    records.setdefault(step, {})
    last = records.pop(end, {})
    for at in sorted(records):
        _write(writers, at, records[at])
    return last


def _with_rates(scenario: Scenario, step: int, means: Metrics) -> Metrics:
    return {**means, **_rates(scenario, step)} if means else {}


def _rates(scenario: Scenario, step: int) -> Metrics:
    """Returns the learning rate of the last update in `step` steps, for each optimizer that has a `rate`."""
    rates = {}
    for field in dataclasses.fields(scenario) if dataclasses.is_dataclass(scenario) else ():
        part = getattr(scenario, field.name)
        if hasattr(part, "rate") and getattr(part, "learning_rate", 0.0) is not None:  # lbfgs has none
            rates[f"learning_rate/{field.name}"] = float(part.rate(step * part.updates_per_step - 1))
        elif isinstance(part, Scenario):  # of an ensemble or another wrapper
            rates |= _rates(part, step)
    return rates
