"""An optimiser in the place of a grid: configurations proposed, run as points of a sweep, and judged."""
