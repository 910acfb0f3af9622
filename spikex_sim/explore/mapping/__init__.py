"""Mapping the neurons of a network onto crossbars: area, routes, packets."""
