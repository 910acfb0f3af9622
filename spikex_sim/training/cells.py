"""Networks of two cells as PyTorch modules, run a time point at a time (docs/nas.md, Section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.cells import NODES, Cell, Operation
from spikex_sim.explore.nas.forms import Form, Sum, canonical
from spikex_sim.explore.nas.macro import Convolution, Macro
from spikex_sim.explore.nas.weights import drawn, quantised
from spikex_sim.training.neurons import Neurons, Watch

DROPOUT = 0.5
CellPart = Literal["a", "b"]


@dataclass(frozen=True)
class Weights:
    """What the weights of a network are before training.

    Attributes
    ----------
    seed : int
        Of all of them (:func:`~spikex_sim.explore.nas.weights.drawn`).
    bits : int, optional
        Of the fixed point that they are rounded to; by default they are not.
    """

    seed: int = 0
    bits: int | None = None

    def put(self, layer: nn.Conv2d | nn.Linear, form: str, position: str) -> None:
        """Set a layer's weights by the form of its cell, empty outside cells, and its place; a bias is 0."""
        values = drawn(tuple(layer.weight.shape), self.seed, form, position)
        values = values if self.bits is None else quantised(values, self.bits)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(values))
            if layer.bias is not None:
                layer.bias.zero_()


class CellNetwork(nn.Module):
    """Stem, cell A, down, cell B, classifier.

    Populations of neurons are named by what takes their spikes: ``a1`` ... by cell A's convolutions,
    ``down``, ``b1`` ..., ``last`` by the first linear layer, ``classifier`` by the second one. Convolutions
    that read the same sum have a population each, and these fire alike. Batch norms take a time point at a
    time; their running statistics are of all. Dropout is a module of its own, ``head.dropout``.

    Parameters
    ----------
    macro : Macro
        What surrounds the cells.
    a, b : Form or Cell
        Cells; cells with backward edges have no form.
    weights : Weights
        Before training.
    sharpness : float
        Of the surrogate gradient (:class:`~spikex_sim.training.neurons.Neurons`).

    Raises
    ------
    ConfigError
        If nothing reaches the output of a cell, the seed is negative, or there are no such bits.
    """

    def __init__(
        self,
        macro: Macro,
        a: Form | Cell,
        b: Form | Cell,
        weights: Weights = Weights(),
        *,
        sharpness: float = 2.0,
    ) -> None:
        super().__init__()
        self.macro, self.weights, self.sharpness = macro, weights, sharpness
        stem, down = macro.convolutions((), ())
        self.stem = _normalised(stem, weights, "", "stem")
        self.cells = nn.ModuleDict()
        self.down = Down(down, weights)
        self.head = Head(macro, weights)
        self.place("a", a)
        self.place("b", b)

    def place(self, part: CellPart, cell: Form | Cell) -> None:
        """Put a cell, with weights of its own, where one was."""
        form = canonical(cell).form if isinstance(cell, Cell) and cell.is_forward else cell
        made: FormCell | EdgeCell
        if isinstance(form, Form):
            made = FormCell(self.macro, part, form, self.weights)
        else:
            made = EdgeCell(self.macro, part, form, self.weights)
        like = self.stem[0].weight
        self.cells[part] = made.to(like.device, like.dtype).train(self.training)

    def neurons(self, watch: Watch | None = None) -> Neurons:
        """Neurons at rest, and who is told what fires."""
        return Neurons(self.macro.tau, self.macro.threshold, self.sharpness, watch)

    def forward(self, images: torch.Tensor, watch: Watch | None = None) -> torch.Tensor:
        """Run all time points.

        Parameters
        ----------
        images : tensor ``[S, 3, H, W]``
            Direct encoding: the stem takes them once, and its currents enter cell A at every time point.
        watch : callable, optional
            Told every population's spikes, one time point after the other.

        Returns
        -------
        tensor ``[S, classes]``
            Currents of the outputs, means over time points and over the outputs of a class.
        """
        neurons = self.neurons(watch)
        still = self.enter(images)
        currents = [self.after(self.before(still, neurons), neurons) for _ in range(self.macro.timesteps)]
        votes: torch.Tensor = torch.stack(currents).mean(0)
        return votes.unflatten(1, (self.macro.dataset.classes, -1)).mean(2)

    def enter(self, images: torch.Tensor) -> Sequence[torch.Tensor]:
        """What cell A takes at every time point (:meth:`FormCell.inputs`)."""
        found: Sequence[torch.Tensor] = self.cells["a"].inputs(
            self.stem(images.contiguous(memory_format=torch.channels_last))
        )
        return found

    def before(self, still: Sequence[torch.Tensor], neurons: Neurons) -> torch.Tensor:
        """Run cell A and down for a time point; currents that enter cell B."""
        found: torch.Tensor = self.down(self.cells["a"](still, neurons), neurons)
        return found

    def after(self, current: torch.Tensor, neurons: Neurons) -> torch.Tensor:
        """Run cell B and the classifier for a time point; currents of the outputs."""
        b = self.cells["b"]
        found: torch.Tensor = self.head(b(b.inputs(current), neurons), neurons)
        return found


class FormCell(nn.Module):
    """A cell by its form."""

    def __init__(self, macro: Macro, part: CellPart, form: Form, weights: Weights) -> None:
        super().__init__()
        if not form.output:
            raise ConfigError("nothing reaches its output", where=f"cell {part.upper()}")
        self.form = form
        self.convolutions = _convolutions(macro, part, form.kernels, weights, form.text)
        self._alike = {
            reads: [f"{part}{k}" for k, one in enumerate(form.convolutions, 1) if one.reads == reads]
            for reads in dict.fromkeys(one.reads for one in form.convolutions)
        }

    def inputs(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """``x``, ``avg(x)``, ``avg(avg(x))`` ..., as many as are read: steady if ``x`` is."""
        sums = (*self._alike, self.form.output)
        most = max((averages for terms in sums for source, averages, _ in terms if source == 0), default=0)
        found = [x]
        while len(found) <= most:
            found.append(_averaged(found[-1]))
        return found

    def forward(self, inputs: Sequence[torch.Tensor], neurons: Neurons) -> torch.Tensor:
        """Currents of the output at a time point, for inputs of :meth:`inputs`."""
        sources = [list(inputs)]
        fired: dict[Sum, torch.Tensor] = {}
        for instance, convolution in zip(self.form.convolutions, self.convolutions, strict=True):
            if instance.reads not in fired:
                name, *others = self._alike[instance.reads]
                fired[instance.reads] = neurons.fire(name, _total(instance.reads, sources), *others)
            sources.append([convolution(fired[instance.reads])])
        return _total(self.form.output, sources)


class EdgeCell(nn.Module):
    """A cell with backward edges, edge by edge.

    Its convolutions are numbered in the order of :attr:`~spikex_sim.explore.nas.cells.Cell.live`.
    """

    def __init__(self, macro: Macro, part: CellPart, cell: Cell, weights: Weights) -> None:
        super().__init__()
        if cell.is_empty:
            raise ConfigError("nothing reaches its output", where=f"cell {part.upper()}")
        told = " ".join(f"{i}{j}{op}" for i, j, op in cell.edges)
        self.convolutions = _convolutions(macro, part, cell.live, weights, told)
        numbers = count(1)
        self.edges = [(i, j, op, next(numbers) if op.kernel else 0) for i, j, op in cell.live_edges]
        self.part = part

    def inputs(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """What it takes: ``x``."""
        return [x]

    def forward(self, inputs: Sequence[torch.Tensor], neurons: Neurons) -> torch.Tensor:
        """Currents of the output at a time point; what goes back waits with the neurons for the next one."""
        (x,) = inputs
        back = [neurons.waiting.pop(self._memory(node), torch.zeros_like(x)) for node in range(NODES)]
        values = [x + back[0], *back[1:]]
        for i, j, op, number in self.edges:
            made = self._applied(op, number, values[i], neurons)
            if i < j:  # all edges into a node come before those that leave it
                values[j] = values[j] + made
            else:
                waiting = neurons.waiting.get(self._memory(j))
                neurons.waiting[self._memory(j)] = made if waiting is None else waiting + made
        return values[-1]

    def _memory(self, node: int) -> str:
        return f"{self.part} node {node}"

    def _applied(self, op: Operation, number: int, current: torch.Tensor, neurons: Neurons) -> torch.Tensor:
        if op is Operation.SKIP:
            return current
        if op is Operation.AVERAGE:
            return _averaged(current)
        found: torch.Tensor = self.convolutions[number - 1](neurons.fire(f"{self.part}{number}", current))
        return found


class Down(nn.Module):
    """Between the cells: batch norm, LIF, convolution to twice the channels, batch norm, 2x2 average."""

    def __init__(self, convolution: Convolution, weights: Weights) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(convolution.in_channels)
        self.convolution = _normalised(convolution, weights, "", "down")

    def forward(self, current: torch.Tensor, neurons: Neurons) -> torch.Tensor:
        """Run a time point."""
        return functional.avg_pool2d(self.convolution(neurons.fire("down", self.norm(current))), 2)


class Head(nn.Module):
    """After the cells: batch norm, LIF, average, dropout, linear layer, LIF, linear layer with bias."""

    def __init__(self, macro: Macro, weights: Weights) -> None:
        super().__init__()
        self.pool = macro.pool
        self.norm = nn.BatchNorm2d(2 * macro.channels)
        self.dropout = nn.Dropout(DROPOUT)
        first, second = macro.linear
        self.first = skip_init(nn.Linear, *first, bias=False)
        self.second = skip_init(nn.Linear, *second)
        weights.put(self.first, "", "linear1")
        weights.put(self.second, "", "linear2")

    def forward(self, current: torch.Tensor, neurons: Neurons) -> torch.Tensor:
        """Run a time point; currents of all outputs, ``[S, outputs]``."""
        spikes = neurons.fire("last", self.norm(current))
        pooled = self.dropout(functional.avg_pool2d(spikes, self.pool).flatten(1))
        found: torch.Tensor = self.second(neurons.fire("classifier", self.first(pooled)))
        return found


def _normalised(convolution: Convolution, weights: Weights, form: str, position: str) -> nn.Sequential:
    """A convolution and its batch norm."""
    made = skip_init(
        nn.Conv2d,
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel,
        stride=convolution.stride,
        padding=convolution.kernel // 2,
        bias=False,
    ).to(memory_format=torch.channels_last)
    weights.put(made, form, position)
    return nn.Sequential(made, nn.BatchNorm2d(convolution.out_channels))


def _convolutions(
    macro: Macro, part: CellPart, kernels: Sequence[int], weights: Weights, form: str
) -> nn.ModuleList:
    cells = {"a": (kernels, ()), "b": ((), kernels)}
    mine = [one for one in macro.convolutions(*cells[part]) if one.part == part]
    return nn.ModuleList(_normalised(one, weights, form, f"{part}{k}") for k, one in enumerate(mine, 1))


def _averaged(current: torch.Tensor) -> torch.Tensor:
    """3x3 average whose padding counts."""
    return functional.avg_pool2d(current, 3, stride=1, padding=1)


def _total(terms: Sum, sources: Sequence[list[torch.Tensor]]) -> torch.Tensor:
    """Add up terms; of each source its averages so far, to which those that are missing are added."""

    def current(source: int, averages: int, m: int) -> torch.Tensor:
        known = sources[source]
        while len(known) <= averages:
            known.append(_averaged(known[-1]))
        return known[averages] if m == 1 else known[averages] * m

    return reduce(torch.add, (current(*term) for term in terms))
