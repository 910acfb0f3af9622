"""From counts to energy and area."""
