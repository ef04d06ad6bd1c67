"""Numbers that measurements seldom give and that break divisions: equal ones, neighbours, 0, huge ones, no numbers."""

from __future__ import annotations

import math
import sys

from hypothesis import strategies as st

HUGE = sys.float_info.max
TINIEST = 5e-324
ODD = (0.0, -0.0, TINIEST, sys.float_info.min, 0.01, math.nextafter(0.01, 1), 1.0, math.nextafter(1.0, 2), HUGE)

finite = st.sampled_from([*ODD, *(-value for value in ODD)]) | st.floats(allow_nan=False, allow_infinity=False)
anything = finite | st.sampled_from([math.inf, -math.inf, math.nan])
positive = finite.map(abs).filter(lambda value: value > 0)


@st.composite
def close(draw: st.DrawFn, values: st.SearchStrategy[float], least: int, most: int) -> list[float]:
    """Lists of which many members are equal to the first one, or its neighbours."""
    first = draw(values)
    near = st.sampled_from([first, math.nextafter(first, math.inf), math.nextafter(first, -math.inf)])
    return [first, *draw(st.lists(near | values, min_size=least - 1, max_size=most - 1))]
