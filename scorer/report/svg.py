"""Plots as inline SVG: paths and dots between two axes, coloured by the classes of ``templates/base.css``.

Everything lies within ``WIDTH`` x ``HEIGHT``. Coordinates have at most two decimals, so that pages stay small, and the
same data give the same bytes. Texts are escaped, control characters too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from scorer.safe_text import visible

WIDTH, HEIGHT = 332, 252

SERIES = 10
"""Number of series with a colour of their own; their classes are ``series-0`` to ``series-9``."""

_TOP, _RIGHT, _BOTTOM = 24, WIDTH - 12, HEIGHT - 34

_CHARACTER = 6.2
"""Width of a digit in the larger font of phones."""

_NEARLY = 1e-9
"""For quotients that miss a round number by a rounding error."""


@dataclass(frozen=True)
class Axis:
    """A scale and its name.

    Attributes:
        label: name.
        low, high: finite ends, the first the smaller one; above 0 on a logarithmic scale.
        unit: smallest distance of two ticks, such as 1 for counts.
        logarithmic: true for powers of ten at equal distances.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    unit: float = 0.0
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Place of ``value`` between the ends, from 0 to 1; beyond an end it is on that end."""
        low, value, high = self.low, min(max(value, self.low), self.high), self.high
        if self.logarithmic:
            low, value, high = math.log(low), math.log(value), math.log(high)
        return (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values between the ends, each with its text."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            factors = (1, 2, 5) if self.high < 300 * self.low else (1,)
            values = [factor * 10.0**power for power in powers[:: 1 + len(powers) // 8] for factor in factors]
            least = max(self.low, self.unit) * (1 - _NEARLY)
            return [(value, f"{value:,.10g}") for value in values if least <= value <= self.high]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = max(self.unit, next(one * power for one in (1, 2, 5, 10) if one * power >= rough * (1 - _NEARLY)))
        digits = max(0, -math.floor(math.log10(step) + _NEARLY))
        places = range(math.ceil(self.low / step - _NEARLY), math.floor(self.high / step + _NEARLY) + 1)
        form = f",.{digits}f" if digits < 5 and max(-self.low, self.high) < 1e9 else ".3g"
        return [(n * step, f"{n * step:{form}}") for n in places]


class Plot:
    """Axes with ticks and a grid, and what is drawn between them in the order of the calls.

    Attributes:
        box: the ``viewBox`` of its ``<svg>`` element.
        drawn: what stands in that element.
    """

    box = f"0 0 {WIDTH} {HEIGHT}"

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x_axis, self._y_axis = x, y
        across, up = x.ticks(), y.ticks()
        self._left = 8 + _CHARACTER * max((len(text) for _, text in up), default=0)
        grid, axes, texts = "", f"M{_number(self._left)},{_TOP}V{_BOTTOM}H{_RIGHT}", Markup()
        for value, text in across:
            at = self._x(value)
            grid += f"M{_number(at)},{_TOP}V{_BOTTOM}"
            axes += f"M{_number(at)},{_BOTTOM}v3"
            texts += _element("text", text, x=at, y=_BOTTOM + 14, text_anchor="middle")
        for value, text in up:
            at = self._y(value)
            grid += f"M{_number(self._left)},{_number(at)}H{_RIGHT}"
            axes += f"M{_number(self._left)},{_number(at)}h-3"
            texts += _element("text", text, x=self._left - 5, y=at + 3.4, text_anchor="end")
        texts += _element("text", x.label, x=(self._left + _RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle")
        texts += _element("text", y.label, x=0, y=11)
        self.drawn = _element("path", class_="grid", d=grid) + _element("path", class_="axis", d=axes) + texts

    def path(self, points: Iterable[tuple[float, float]], look: str) -> None:
        """Join finite points; ``look`` are classes such as ``line series-0``."""
        written, pen = "", ("", "")
        for x, y in points:
            at = _number(self._x(x)), _number(self._y(y))
            if not written:
                written = f"M{at[0]},{at[1]}"
            elif at[0] != pen[0] and at[1] != pen[1]:
                written += f"L{at[0]},{at[1]}"
            elif at != pen:
                written += f"H{at[0]}" if at[1] == pen[1] else f"V{at[1]}"
            pen = at
        self.drawn += _element("path", class_=look, d=written)

    def dot(self, x: float, y: float, look: str, radius: float, text: str) -> None:
        """Draw a circle that shows ``text`` under the pointer; ``look`` as in :meth:`path`."""
        title = _element("title", text)
        self.drawn += _element("circle", title, class_=look, cx=self._x(x), cy=self._y(y), r=radius)

    def values(
        self,
        points: Sequence[tuple[float, float]],
        name: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
    ) -> None:
        """Hold ``rows`` of texts, one for each of ``points``, for a script that shows the nearest to the pointer."""
        held = ";".join(
            " ".join((_number(self._x(x)), _number(self._y(y)), *row)) for (x, y), row in zip(points, rows, strict=True)
        )
        self.drawn += _element("g", class_="values", data_name=name, data_columns="|".join(columns), data_points=held)

    def column(self, low: float, high: float, text: str) -> None:
        """Show ``text`` under the pointer between the values ``low`` and ``high`` of x."""
        left, right, title = self._x(low), self._x(high), _element("title", text)
        place = {"x": left, "y": _TOP, "width": right - left, "height": _BOTTOM - _TOP}
        self.drawn += _element("rect", title, class_="spot", **place)

    def _x(self, value: float) -> float:
        return self._left + self._x_axis.share(value) * (_RIGHT - self._left)

    def _y(self, value: float) -> float:
        return _BOTTOM - self._y_axis.share(value) * (_BOTTOM - _TOP)


def _element(tag: str, content: str = "", **attributes: str | float) -> Markup:
    named = Markup("").join(
        Markup(' {}="{}"').format(name.strip("_").replace("_", "-"), _safe(value)) for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, named, _safe(content))


def _safe(value: str | float) -> Markup:
    if isinstance(value, Markup):
        return value
    return escape(visible(value) if isinstance(value, str) else _number(value))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
