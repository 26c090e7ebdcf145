"""The charts of page and pictures: Vega-Lite files beside this one, and the colours that both use."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

# Colours by name, light and dark. Text and lines have a contrast of 4.5 or more on the page; the ramp of the map goes
# through lightness alone, so that it can be read without seeing hues, and each step carries its own colour of text.
PALETTE = {
    "page": ("#ffffff", "#15181c"),
    "raised": ("#f4f5f6", "#1f242a"),
    "ink": ("#1b1e22", "#eceef0"),
    "quiet": ("#575e66", "#a6aeb7"),
    "rule": ("#dfe2e5", "#343b43"),
    "edge": ("#7b838b", "#7d868f"),
    "line": ("#0b5c8a", "#6db8e6"),
    "bar": ("#bcd8e8", "#24506a"),
    "nation": ("#8d949b", "#7d868f"),
    "failed": ("#a4262c", "#ff9c93"),
    "ramp-0": ("#edf3f7", "#1d2f3b"),
    "ramp-1": ("#cbdfec", "#1f4660"),
    "ramp-2": ("#98c3dd", "#23628a"),
    "ramp-3": ("#3f87b3", "#4f9cc9"),
    "ramp-4": ("#16618f", "#93c9e8"),
    "ramp-5": ("#0a3a5a", "#d6ecf8"),
    "on-0": ("#1b1e22", "#eceef0"),
    "on-1": ("#1b1e22", "#eceef0"),
    "on-2": ("#1b1e22", "#ffffff"),
    "on-3": ("#000000", "#000000"),
    "on-4": ("#ffffff", "#10151a"),
    "on-5": ("#ffffff", "#10151a"),
}
STEPS = 6


def specification(name: str) -> dict[str, Any]:
    """A chart as Vega-Lite; its colours are names of the palette: `var(--line)`."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.vl.json").read_text(encoding="utf-8"))
    return found


def compiled(name: str) -> dict[str, Any]:
    """A chart as Vega, which is what the page draws: it needs no Vega-Lite then."""
    import vl_convert

    return vl_convert.vegalite_to_vega(specification(name))


def embedder() -> str:
    """Vega with Vega Embed as a script that needs no other: what the page draws with."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Nothing in a script may end it.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
