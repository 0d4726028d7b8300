"""What came of a load: times of each step, errors by kind, and refusals, which are no errors."""

import threading
from collections import Counter, defaultdict

from bench.figures import percentile

P99_OF = "1+1"
P99_MS = 250.0
_PERCENTS = (50, 95, 99)


class Refused(Exception):
    """There was no room: 429, which says that one is to come again later."""


class UnexpectedAnswer(Exception):
    """Something else than what was to be answered; the text is its kind, and the same for all of a kind."""


class Tallied:
    """Takes notes from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._errors: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[str] = Counter()

    def took(self, step: str, seconds: float) -> None:
        """Note a step that went well."""
        with self._lock:
            self._seconds[step].append(seconds)

    def failed(self, step: str, error: Exception) -> None:
        """Note a step that failed."""
        kind = str(error) if isinstance(error, UnexpectedAnswer) else type(error).__name__
        with self._lock:
            self._errors[step, kind] += 1

    def refused(self, step: str) -> None:
        """Note a step for which there was no room."""
        with self._lock:
            self._refusals[step] += 1

    def summary(self) -> str:
        """Return how it goes, in a few words."""
        with self._lock:
            done = sum(len(times) for times in self._seconds.values())
            return f"{done} steps, {self._errors.total()} errors, {self._refusals.total()} refusals"

    def kept(self) -> bool:
        """Tell whether it is as it was asked: no error, and p99 of `1+1` within its bound."""
        return not self._errors and bool(self._seconds[P99_OF]) and self._ms(P99_OF, 99) <= P99_MS

    def as_json(self) -> dict[str, object]:
        """Return everything, times in milliseconds."""
        steps = {
            step: {"n": len(times)} | {f"p{percent}": round(self._ms(step, percent), 1) for percent in _PERCENTS}
            for step, times in self._seconds.items()
            if times
        }
        errors = [{"step": step, "kind": kind, "n": number} for (step, kind), number in self._errors.most_common()]
        return {"steps": steps, "errors": errors, "refusals": dict(self._refusals), "kept": self.kept()}

    def as_table(self) -> str:
        """Return everything as text."""
        lines = [f"{'':12} {'n':>7}" + "".join(f"{f'p{percent} ms':>10}" for percent in _PERCENTS)]
        for step, times in self._seconds.items():
            if times:
                shown = "".join(f"{self._ms(step, percent):>10.1f}" for percent in _PERCENTS)
                lines.append(f"{step:12} {len(times):>7}{shown}")
        lines += ["", f"refused (429): {self._refusals.total()}", f"errors: {self._errors.total()}"]
        lines += [f"  {number} x {step}: {kind}" for (step, kind), number in self._errors.most_common()]
        verdict = "kept" if self.kept() else "missed"
        return "\n".join([*lines, f"asked: no error, p99 of {P99_OF} <= {P99_MS:g} ms: {verdict}"])

    def _ms(self, step: str, percent: float) -> float:
        return percentile(self._seconds[step], percent) * 1000
