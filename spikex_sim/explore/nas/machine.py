"""The machine that limits refer to: costs from shapes where they decide, else from spikes (Section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import Costs, Script, checked_bits, costs_of, script_of
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.scores import Recorded
from spikex_sim.schedules.crossbar.options import CrossbarOptions, ImcMachine
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator

MOST_REPLAYED_BITS = 8
"""Of a weight on machines that replay spikes."""
SHAPES = "spikesim-released"
"""Machine whose costs follow from shapes alone."""


@dataclass(frozen=True)
class Machine:
    """A machine and the width of its weights.

    Attributes
    ----------
    arch : Accelerator
        Its configuration; machines that replay spikes have weights of ``bits``.
    bits : int
        Of a weight.
    script : Script or None
        What SpikeSim's script knows of it; None where costs follow from spikes.
    """

    arch: Accelerator
    bits: int
    script: Script | None

    @classmethod
    def of(cls, arch: str | Accelerator, bits: int, timesteps: int) -> Machine:
        """Load a machine; windows are no longer than networks have time points.

        Raises
        ------
        SpikexError
            If there is no such machine, or it has no weights of so many bits.
        """
        made = load_accelerator(arch)
        if isinstance(made, CrossbarOptions) and made.imc.model == "released":
            return cls(made, checked_bits(bits), Script.of(made))
        if checked_bits(bits) > MOST_REPLAYED_BITS:
            raise UnsupportedError(
                f"is {bits}; machines that replay spikes have weights of 1 to {MOST_REPLAYED_BITS}, "
                f"and of up to 32 is {SHAPES}",
                where=f"arch {made.name}",
                field="bits",
            )
        tws = made.get("tws", default=None)
        windows: dict[str, int] = {"tws": timesteps} if isinstance(tws, int) and tws > timesteps else {}
        return cls(load_accelerator(made, {"weight_bits": bits, **windows}), bits, None)

    @property
    def name(self) -> str:
        """Of its configuration."""
        return self.arch.name

    @property
    def shapes(self) -> Script:
        """What counts parameters of networks, and on a machine of the script all else."""
        return self.script or Script.of(script_of(SHAPES))

    def known(self, limits: Constraints) -> Constraints:
        """Limits that shapes decide, before anything is scored."""
        return limits if self.script is not None else Constraints(limits.parameters)

    def content(self) -> dict[str, Any]:
        """All that its costs of spikes depend on but the spikes."""
        from spikex_sim.explore.sweeps.work import machine_content

        return machine_content(self.arch, "fast")

    def of_shapes(self, macro: Macro, a: Form, b: Form) -> Costs:
        """Costs of a network by the closed form; its parameters alone where costs follow from spikes."""
        bits = self.bits if self.script is not None else 1
        found = costs_of(macro, self.shapes, bits, a.kernels, b.kernels)
        if self.script is not None:
            return found
        unknown = float("nan")
        return replace(found, area_mm2=unknown, latency_ms=unknown, energy_uj=unknown)

    def of_spikes(self, macro: Macro, recorded: Sequence[Recorded]) -> Costs:
        """Costs of a network by replay; :class:`SpikexError` if the machine cannot run it."""
        from spikex_sim.explore.nas.replay import replayed

        return replayed(macro, self.arch, recorded)

    def check_runs(self, macro: Macro) -> None:
        """Raise :class:`SpikexError` if it takes no network, whatever its cells are."""
        if self.script is None:
            from spikex_sim.explore.nas.replay import check_runs

            check_runs(macro, self.arch)


def check_limits(machine: Machine, limits: Constraints, minimise: Sequence[str] = ()) -> None:
    """Raise where a limit, or a cost to be minimised, says nothing of networks on a machine."""
    fields = {"max_area_mm2": limits.area_mm2 is not None, "minimise": "area_mm2" in minimise}
    for field, given in fields.items():
        if given and not isinstance(machine.arch, ImcMachine):
            raise ConfigError(
                f"area is of chips of crossbars, which are made for their network; that of {machine.name} is "
                "the same for every network",
                field=field,
            )
