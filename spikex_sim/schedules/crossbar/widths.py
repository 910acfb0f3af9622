"""Widths that counts and costs share: bits of a conversion and of a digital sum (Section 2)."""

from __future__ import annotations

from spikex_sim.core.errors import ConfigError
from spikex_sim.schedules.crossbar.options import ADC_BITS, CrossbarOptions


def adc_bits(arch: CrossbarOptions) -> int:
    """Resolution of the converters; ``auto`` takes the largest sum of codes that one can meet.

    Raises
    ------
    ConfigError
        If ``auto`` needs a converter whose cost is not known.
    """
    imc = arch.imc
    if imc.adc.bits != "auto":
        return imc.adc.bits
    shared = imc.crossbars_per_pe if imc.adc.sharing == "pe" else 1
    largest = imc.crossbar * ((1 << imc.device.bits) - 1) * shared
    bits, (low, high) = largest.bit_length(), ADC_BITS[imc.adc.kind]
    if not low <= bits <= high:
        raise ConfigError(
            f"auto needs {bits} bits for sums up to {largest:,}, and a {imc.adc.kind} converter has {low} to "
            f"{high}; set one of these, or change imc.adc.kind",
            where=arch.name, field="imc.adc.bits",
        )  # fmt: skip
    return bits


def psum_bits(arch: CrossbarOptions, blocks: int) -> int:
    """Width ``b_s`` of the digital sums of a layer of so many blocks.

    Raises
    ------
    ConfigError
        See :func:`adc_bits`.
    """
    if arch.psum_bits != "auto":
        return arch.psum_bits
    return adc_bits(arch) + arch.slices * arch.imc.device.bits + (blocks - 1).bit_length() + 1
