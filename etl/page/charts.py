"""The charts of the page and the pictures, which are Vega-Lite files in this folder."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def specification(name: str) -> dict[str, Any]:
    """A chart as Vega-Lite, whose colours are names from `page.css`, such as `var(--line)`."""
    chart: dict[str, Any] = json.loads((FOLDER / f"{name}.vl.json").read_text(encoding="utf-8"))
    return chart


def compiled(name: str) -> dict[str, Any]:
    """A chart as Vega, which the page draws without Vega-Lite."""
    import vl_convert

    return vl_convert.vegalite_to_vega(specification(name))


def embedder() -> str:
    """The script that draws the page's charts: Vega with Vega Embed."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # HTML ends a script at these texts.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
