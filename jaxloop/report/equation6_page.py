"""Eq. (6) on the page and in report.json: one estimate for each kind of bias, from all runs together."""

from collections.abc import Iterator, Sequence

from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.measures import BIASES
from jaxloop.analysis.run_folder import Run
from jaxloop.report.layout import to_html
from jaxloop.report.markup import bullets, escape, folded, heading

EQUATION = "B(t+1) = (1 − γ_M) (1 + δ_D + δ_Q (1 − q_t) + δ_U u_t) B(t)"


def estimates(runs: Sequence[Run]) -> list[Dynamics]:
    """With the readings that `dynamics.estimate` takes by default; the others are its arguments."""
    return [dynamics.estimate(runs, bias) for bias in BIASES]


def blocks(found: Sequence[Dynamics]) -> Iterator[str]:
    """A section: whether it predicts each kind of bias, and folded below what was estimated and what cannot be told."""
    yield heading("The paper's conjecture on how bias moves (eq. 6)", "conjecture")
    yield (
        f"<p>{escape(EQUATION)}: from one generation to the next a bias B is multiplied by a factor, which depends on the "
        "architecture M, the data set D, the quality q and the imbalance u of the generated images.</p>"
    )
    yield bullets(f"{d.bias.title}: {dynamics.judged(d.judgement)}" for d in found)
    yield (
        '<p class="small">Fitted to the first two thirds of the generations. Verdicts at the 5 % level each, not corrected for '
        "their number, and given the fit. The baseline is the better of the two on the same generations, so that “worse” is said "
        "too easily and “better” is not; no test is made where a predicted bias is 0 or less. With two or three subgroups "
        "1 − MEO is a fixed multiple of MD, and both say the same.</p>"
    )
    for d in found:
        yield folded(
            f"Equation (6) for {d.bias.title}",
            bullets(d.sentences) + "".join(map(to_html, dynamics.tables_of(d))),
        )


def as_json(found: Sequence[Dynamics]) -> list[dict]:
    return [dynamics.as_json(d) for d in found]
