# SPDX-License-Identifier: Apache-2.0
"""A bar chart on a logarithmic axis, as SVG."""
import html
import math

COLORS = {"cbuild": "#0b7285", "docker": "#f08c00", "buildah": "#868e96", "buildkit": "#d6336c", "kaniko": "#5f3dc4"}
BAR, GAP, LEFT, WIDTH = 12, 10, 170, 860


def svg(results, names):
    groups = [(f"{row} {kind}", per) for row, kinds in results.items() for kind, per in kinds.items()]
    values = [v for _, per in groups for v in per.values() if v]
    if not values:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>'
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    scale = (WIDTH - LEFT - 70) / max(high - low, 1)
    group_height = BAR * len(names) + GAP
    height = 60 + group_height * len(groups)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for i, name in enumerate(names):
        out.append(f'<rect x="{LEFT + i * 110}" y="8" width="12" height="12" fill="{COLORS.get(name, "#ced4da")}"/>'
                   f'<text x="{LEFT + i * 110 + 16}" y="18">{html.escape(name)}</text>')
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        out.append(f'<line x1="{x}" y1="28" x2="{x}" y2="{height - 20}" stroke="#dee2e6"/>'
                   f'<text x="{x}" y="{height - 6}" text-anchor="middle">{10.0 ** power:g} s</text>')
    for g, (label, per) in enumerate(groups):
        top = 32 + g * group_height
        out.append(f'<text x="{LEFT - 8}" y="{top + group_height / 2 - 2}" text-anchor="end">{html.escape(label)}</text>')
        for i, name in enumerate(names):
            value = per.get(name)
            y = top + i * BAR
            if value is None:
                out.append(f'<text x="{LEFT + 4}" y="{y + 9}" fill="#868e96" font-size="9">no result</text>')
                continue
            width = max((math.log10(value) - low) * scale, 1)
            out.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLORS.get(name, "#ced4da")}"/>'
                       f'<text x="{LEFT + width + 4:.1f}" y="{y + 9}">{value:.3g}</text>')
    return "\n".join(out) + "\n</svg>\n"
