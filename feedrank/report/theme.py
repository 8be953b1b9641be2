"""Colours of page and charts, and how charts look: few lines, small type, the accent first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIGHT = {
    "paper": "#fbfaf8", "card": "#ffffff", "ink": "#1d2125", "soft": "#5d6670", "rule": "#dfe2e6",
    "faint": "#eceef0", "good": "#17683a", "bad": "#a3262a", "good-paper": "#eaf6ee",
    "bad-paper": "#fdeeee", "tone0": "#0b6e6e", "tone1": "#c0622f", "tone2": "#7d83d6",
    "tone3": "#8a6d00", "tone4": "#3b6fb5", "tone5": "#7a7f87", "tone6": "#a3262a",
    "tone7": "#8fb8b8",
}  # fmt: skip
DARK = {
    "paper": "#14171a", "card": "#1c2024", "ink": "#e8eaed", "soft": "#a2abb5", "rule": "#343a41",
    "faint": "#2a2f35", "good": "#7fd6a0", "bad": "#ff9a9a", "good-paper": "#1b2f24",
    "bad-paper": "#3a2023", "tone0": "#4fc3c0", "tone1": "#f0976b", "tone2": "#a3a6ff",
    "tone3": "#d1b04a", "tone4": "#7fb0ea", "tone5": "#b4bac2", "tone6": "#ff9a9a",
    "tone7": "#4d7a7a",
}  # fmt: skip
# The browser puts in the colours of its light or dark side.
VARIABLES = {name: f"var(--{name})" for name in LIGHT}
# Comes with vl-convert, so that labels are as wide on every machine; as wide as Arial.
FONT = "Liberation Sans"


def config(colours: Mapping[str, str]) -> dict[str, Any]:
    """The `config` of a Vega-Lite chart."""
    ink, soft, faint = colours["ink"], colours["soft"], colours["faint"]
    tones = [colour for name, colour in colours.items() if name.startswith("tone")]
    quiet = {"labelColor": soft, "labelFontSize": 11, "titleColor": soft, "titleFontSize": 11,
             "titleFontWeight": "normal"}  # fmt: skip
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "mark": {"color": tones[0]},
        "rule": {"color": tones[0]},
        "text": {"color": soft, "fontSize": 11},
        "range": {"category": tones},
        "axis": quiet | {"gridColor": faint, "domain": False, "ticks": False, "labelPadding": 6,
                         "tickCount": 5, "labelLimit": 150, "labelFlush": False,
                         "labelSeparation": 8},
        "axisDiscrete": {"labelColor": ink},
        "legend": quiet | {"orient": "top", "symbolType": "circle", "symbolStrokeWidth": 0,
                           "symbolOpacity": 1, "columns": 4},
        "header": {"labelColor": ink, "labelFontWeight": "bold", "title": None},
        "facet": {"spacing": 36},
        "title": {"color": ink, "anchor": "start"},
        "style": {"reference": {"color": soft, "strokeDash": [3, 4], "strokeWidth": 1}},
    }  # fmt: skip
