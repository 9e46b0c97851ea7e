"""The drills over time, as a picture: who answered, second by second."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from benchmarks.drills.load import PER_SECOND, Sample
from benchmarks.drills.report import Outcome
from benchmarks.drills.scenarios import REGIONS

_WIDTH, _LEFT, _ROW, _BAR = 960, 230, 54, 30
_SPAN = _WIDTH - _LEFT - 150
_STYLE = """
  svg { font: 13px system-ui, sans-serif } .page { fill: #ffffff }
  text { fill: #1f2328 } .muted { fill: #59636e; font-size: 11px }
  .title { font-size: 17px; font-weight: 600 } .fault { fill: #1f2328 }
  .foundry1 { fill: #0969da } .foundry2 { fill: #1a7f37 } .foundry3 { fill: #8250df }
  .failed { fill: #cf222e } .cut { fill: #bf8700 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .muted { fill: #9198a1 }
    .fault { fill: #f0f6fc } .foundry1 { fill: #4493f8 } .foundry2 { fill: #3fb950 }
    .foundry3 { fill: #ab7df8 } .failed { fill: #f85149 } .cut { fill: #d29922 }
  }"""
_KINDS = {
    **{name: f"answered by {name}" for name in REGIONS},
    "cut": "cut after it began",
    "failed": "failed, or told to wait for its own region",
}


def draw(outcomes: Sequence[Outcome]) -> str:
    """Return a standalone SVG, a row a drill, that is legible on light and on dark pages."""
    height = 84 + _ROW * len(outcomes)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            f' aria-label="Answers by second in {len(outcomes)} failover drills">'
        ),
        f"<style>{_STYLE}\n</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(
            16,
            30,
            "Failover drills: requests by the second they were sent in; the line is the fault",
            "title",
        ),
    ]
    for number, (kind, meaning) in enumerate(_KINDS.items()):
        x = 16 + 165 * number
        parts += [
            f'<rect class="{kind}" x="{x}" y="46" width="12" height="12"/>',
            _text(x + 18, 57, meaning, "muted"),
        ]
    for number, outcome in enumerate(outcomes):
        parts += _row(outcome, 76 + _ROW * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(outcome: Outcome, top: int) -> list[str]:
    end = max(each.sent for each in outcome.samples)
    scale = _SPAN / end
    began, ended = _LEFT + scale * outcome.began, _LEFT + scale * outcome.ended
    said = f"{outcome.failures} failed" + f", {outcome.cut} cut" * bool(outcome.cut)
    line = f'x="{began:.1f}" y="{top + _BAR + 4}" width="{ended - began:.1f}" height="3"'
    parts = [
        _text(16, top + 14, outcome.drill.name),
        _text(16, top + 29, said, "muted"),
        f'<rect class="fault" {line}/>',
        _text(began, top + _BAR + 18, f"{outcome.began:.0f} s", "muted"),
        _text(ended, top + _BAR + 18, f"{outcome.ended:.0f} s", "muted"),
        _text(_LEFT + _SPAN + 8, top + _BAR, f"{end:.0f} s", "muted"),
    ]
    bars: dict[str, list[str]] = {}
    for second in range(int(end)):
        counts = Counter(_kind(each) for each in outcome.samples if int(each.sent) == second)
        left, bottom = _LEFT + scale * second, top + _BAR + 2.0
        for kind in _KINDS:
            height = _BAR * counts[kind] / PER_SECOND
            if height:
                bar = (
                    f"M{left:.1f} {bottom:.1f}h{scale * 0.9:.1f}v-{height:.1f}h-{scale * 0.9:.1f}z"
                )
                bars.setdefault(kind, []).append(bar)
            bottom -= height
    return parts + [f'<path class="{kind}" d="{"".join(each)}"/>' for kind, each in bars.items()]


def _kind(sample: Sample) -> str:
    if sample.failed:
        return "failed"
    return "cut" if sample.cut else sample.region


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{attribute}>{escape(text)}</text>'
