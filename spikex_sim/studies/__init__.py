"""Questions that take many replays of one trace to answer."""
