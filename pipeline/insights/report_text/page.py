"""A report as one HTML file: nothing is loaded from anywhere, no script runs, everything in it is escaped."""

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.insights.report_text import drawing
from pipeline.insights.report_text.document import Document
from pipeline.resources import shipped

_SHAPES = (
    *("columns", "chart_top", "usual_lines", "line_points", "bar_percents", "stack_top", "parts"),
    *("band_top", "band_area", "band_line"),
)
_FOLDER = ("pipeline", "insights", "report_text", "templates")


def to_html(document: Document) -> str:
    """The whole page."""
    return _templates().get_template("report.html").render(document=document)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped(*_FOLDER)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({name: getattr(drawing, name) for name in _SHAPES}, part_width=drawing.PART_WIDTH)
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment
