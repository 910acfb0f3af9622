"""What registers of partial sums hold: sums of weights that spikes added, without the bias."""

from __future__ import annotations

from spikex_sim.spec.arch import Accelerator


def bits_of(largest: int) -> int:
    """Smallest register, in bits, whose limit ``2^(bits - 1)`` is above every sum up to a magnitude."""
    return largest.bit_length() + 1


def wrapping_bits(largest: int, datapath: str, arch: Accelerator) -> int | None:
    """Width at which sums up to a magnitude wrap around; None where they are exact."""
    wraps = datapath == "int" and arch.psum_overflow == "wrap" and bits_of(largest) > arch.psum_bits
    return arch.psum_bits if wraps else None
