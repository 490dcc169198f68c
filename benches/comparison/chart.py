"""The ratios as bars, in an SVG of a few lines."""

from .results import Results
from .workloads import Workload

WIDTH, LEFT, BAR, GAP = 760, 220, 16, 14
SERIES = (("iops", "throughput", "#2f6f9f"), ("iops_per_cpu_second", "commands per CPU-second", "#8fbf6f"))


def svg(results: Results, workloads: list[Workload], peer: str) -> str:
    """Bars of first target : peer with their spread; the line marks 1."""
    workloads = [workload for workload in workloads if results.has(workload, results.targets[0], peer)]
    spreads = {
        (workload.name, name): results.ratio(workload, peer, name) for workload in workloads for name, _, _ in SERIES
    }
    scale = (WIDTH - LEFT - 80) / max(1.2, *(high for _, _, high in spreads.values()))
    parts, y = [], 60
    for workload in workloads:
        parts.append(_text(LEFT - 10, y + BAR + 4, workload.name, "end"))
        for name, _, colour in SERIES:
            low, middle, high = (value * scale for value in spreads[workload.name, name])
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{middle:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            centre = y + BAR / 2 - 1
            parts.append(
                f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{centre}" y2="{centre}" stroke="#333"/>'
            )
            parts.append(_text(LEFT + high + 6, y + BAR - 4, f"{middle / scale:.2f}x"))
            y += BAR
        y += GAP
    one = LEFT + scale
    parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="52" y2="{y}" stroke="#b33" stroke-dasharray="4 3"/>')
    legend = "".join(
        f'<rect x="{LEFT + 230 * number}" y="30" width="12" height="12" fill="{colour}"/>'
        + _text(LEFT + 18 + 230 * number, 40, label)
        for number, (_, label, colour) in enumerate(SERIES)
    )
    title = _text(LEFT, 20, f"{results.targets[0]} against {peer} (1 = equal)")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'{title}{legend}{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{words}</text>'
