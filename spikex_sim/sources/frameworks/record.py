"""Record a PyTorch network while it runs: spikes, weights and neurons become a trace.

PyTorch is imported here and nowhere else in the package's core, and only when something is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

from spikex_sim.core.errors import TraceError
from spikex_sim.core.origin import pip_install
from spikex_sim.core.progress import Progress, silent
from spikex_sim.sources.frameworks.cells import Cell, cell_of
from spikex_sim.sources.frameworks.dynamics import Dynamics, described
from spikex_sim.sources.frameworks.follow import Follower
from spikex_sim.sources.frameworks.readings import REPEATS, Call, Reading, reading, ways
from spikex_sim.sources.frameworks.recording import Recording, Report
from spikex_sim.trace.chain import as_chain
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import Trace

Description = Dynamics | Mapping[str, Any]


def record(
    model: Any,
    inputs: Any,
    *,
    call: Call | None = None,
    neurons: Mapping[Any, Description] | None = None,
    skip: Collection[str] = (),
    nearest: bool = False,
    closed_loop: bool = False,
    label: int | tuple[int, ...] | None = None,
    name: str = "",
    axes: str | None = None,
    timesteps: int | None = None,
    input_bits: int | None = None,
    report: Callable[[Report], None] | None = None,
    progress: Progress | None = None,
) -> Trace | GraphTrace:
    """Run a network on spikes or images and record it.

    The model is put into eval mode, its neurons' states are reset, and it runs twice without gradients; both
    runs must agree. What flows from module to module is followed value by value.

    Parameters
    ----------
    model : torch.nn.Module
        Of convolutions, linear layers, batch norms, pooling, sums, products of spikes, neurons of snnTorch,
        SpikingJelly or Norse or of ``neurons``, in any order that a graph can express.
    inputs : tensor or array
        Spikes, or numbers of an image, ``[T, B, C, H, W]`` or ``[T, B, N]``; without ``B``, ``[T, C, H, W]``
        or ``[T, N]``, of one sample; or as ``axes`` says. The model always gets an axis for samples.
    call : {"step", "sequence"}, optional
        Whether the model is called once for each time point, with ``[B, ...]``, or once with all there is.
        Default: "sequence" if a SpikingJelly module has step mode 'm' or the inputs have no axis ``T``, else
        "step".
    neurons : mapping, optional
        Spiking modules of one's own, by name or class: a
        :class:`~spikex_sim.sources.frameworks.dynamics.Dynamics` or a mapping with its keys. The module gives
        spikes, or a tuple with spikes first.
    skip : collection of str
        Modules, by name, that are left out, with all inside them: a first layer, a readout.
    nearest : bool
        In a chain, take the nearest neuron of trace format 1 where a module has no exact counterpart there.
    closed_loop : bool
        Keep what enters alone, so that all else is computed in a replay.
    label : int or tuple of int, optional
        Class, for several samples one for each.
    name : str
        Of the trace; default: the model's class.
    axes : str, optional
        Names of the inputs' axes in order, of ``T``, ``B``, ``C``, ``H``, ``W``, ``N``: ``"BTCHW"``; without
        ``T`` (``"BCHW"``), an image that is the same at all time points.
    timesteps : int, optional
        Time points, where the inputs have no axis ``T`` and the model is called for each.
    input_bits : int, optional
        Width of the integers that numbers become which enter a layer; 8 for images that stay the same.
    report : callable, optional
        Called with a :class:`~spikex_sim.sources.frameworks.recording.Report` of what was understood.
    progress : callable, optional
        Called with what is done, time points done and all.

    Returns
    -------
    Trace or GraphTrace
        In the float datapath; a chain of layers that take spikes is a ``Trace``.

    Raises
    ------
    TraceError
        In one line, naming module and reason, if something has no counterpart in this simulator.
    """
    torch = _import_torch()
    if not isinstance(model, torch.nn.Module):
        raise TraceError(f"is a {type(model).__name__}, not a torch.nn.Module", field="model")
    model = getattr(model, "_orig_mod", model)  # what torch.compile made is not looked into
    where = name or type(model).__name__
    refusal: TraceError | None = None
    try:
        _check_model(torch, model)
        for way in ways(_tensor(torch, inputs), axes, call, timesteps):
            try:
                return _recorded(
                    torch, model, reading(model, way, timesteps), where, dict(neurons or {}), set(skip),
                    input_bits, nearest, closed_loop, label, report, progress or silent,
                    again=refusal is not None,
                )  # fmt: skip
            except TraceError as exc:
                refusal = refusal or exc
        assert refusal is not None
        raise refusal
    except TraceError as exc:
        if str(exc).startswith(f"{where}: "):
            raise
        raise TraceError(str(exc), where=where) from exc.__cause__


def _recorded(
    torch: Any, model: Any, read: Reading, where: str, neurons: dict[Any, Description], skip: set[str],
    input_bits: int | None, nearest: bool, closed_loop: bool, label: Any,
    report: Callable[[Report], None] | None, progress: Progress, *, again: bool,
) -> Trace | GraphTrace:  # fmt: skip
    cells, refused, skipped = _modules(model, neurons, skip)
    follow = Follower(torch, read.given.shape[read.axes.index("B")])
    images = _on_device(model, read.given)

    def run(share: int) -> None:
        def told(text: str, done: int, count: int) -> None:
            progress(text, share * count + done, 2 * count)

        with _prepared(torch, model), follow.following(model, cells, skipped, refused):
            _run(model, follow, images, read, told)

    recording = Recording(torch, follow, read.steps)
    run(0)
    recording.first_run(input_bits)
    if again:
        recording.take_as(read)
    run(1)
    graph, found = recording.graph(
        name=where, source=f"recorded from {type(model).__name__}, PyTorch {torch.__version__}", label=label,
        batched=read.batched,
    )  # fmt: skip
    if closed_loop:
        entering = {node.name for node in graph.nodes if node.kind == "input"}
        graph = replace(graph, spikes={key: one for key, one in graph.spikes.items() if key in entering})
    chain = as_chain(graph, nearest=nearest)
    recording.refuse_differing(nearest and chain is not None)
    if report is not None:
        report(found)
    return graph if chain is None else chain


def _import_torch() -> Any:
    try:
        return import_module("torch")
    except ImportError:
        raise TraceError(f"recording needs PyTorch: {pip_install('frameworks')}") from None


def _tensor(torch: Any, inputs: Any) -> Any:
    try:
        given = torch.as_tensor(inputs)
    except (TypeError, ValueError, RuntimeError):
        raise TraceError(f"are no array of numbers but a {type(inputs).__name__}", field="inputs") from None
    if given.layout != torch.strided:
        raise TraceError(f"are {given.layout}; give a dense tensor (to_dense)", field="inputs")
    if given.is_floating_point() and not bool(given.isfinite().all()):
        raise TraceError("hold NaN or infinite numbers", field="inputs")
    return given


def _check_model(torch: Any, model: Any) -> None:
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TraceError(
                "is scripted, so that no module can be looked at; give the model before torch.jit",
                field=path or "model",
            )
    for path, parameter in model.named_parameters():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise TraceError(f"is {parameter.dtype}; record it in float32 (model.float())", field=path)


def _modules(
    model: Any, neurons: dict[Any, Description], skip: set[str]
) -> tuple[dict[Any, Cell], dict[Any, str], set[Any]]:
    """Neurons, modules that are refused if they run, and those left out; none inside one of these."""
    names = {path for path, _ in model.named_modules()}
    for path in [*skip, *(key for key in neurons if isinstance(key, str))]:
        if path not in names:
            raise TraceError(
                f"names '{shown(path)}', and the model has no such module", field="skip or neurons"
            )
    cells: dict[Any, Cell] = {}
    refused: dict[Any, str] = {}
    skipped: set[Any] = set()
    closed: list[str] = []
    for path, module in model.named_modules():
        if any(path == one or path.startswith(f"{one}.") for one in closed):
            continue
        given = neurons.get(path, neurons.get(type(module)))
        cell: Cell | None = None
        try:
            if path in skip:
                skipped.add(module)
            else:
                cell = cell_of(module) if given is None else Cell(described(given))
        except TraceError as exc:
            if given is not None:
                raise TraceError(str(exc), field=f"{path} ({type(module).__name__})") from None
            refused[module] = str(exc)
        if cell is not None:
            cells[module] = cell
        if path and (cell is not None or module in skipped or module in refused):
            closed.append(path)
    return cells, refused, skipped


_HOOKED = (
    "_forward",
    "_backward",
    "_state_dict",
    "_load_state",
    "_parameters",
    "_modules",
    "_non_persistent",
)


@contextmanager
def _prepared(torch: Any, model: Any) -> Iterator[None]:
    """Eval mode, potentials at rest, no gradients; afterwards modules are as they were."""
    kept = {}
    for module in model.modules():
        own = {key: value for key, value in vars(module).items() if not key.startswith(_HOOKED)}
        kept[module] = own, {key: dict(own[key]) for key in ("_buffers", "_memories") if key in own}
    model.eval()
    for module in model.modules():
        package = type(module).__module__.partition(".")[0]
        reset = {"snntorch": "reset_mem", "spikingjelly": "reset"}.get(package, "")
        if hasattr(module, reset):
            getattr(module, reset)()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, (own, inside) in kept.items():
            for key in [one for one in vars(module) if not one.startswith(_HOOKED) and one not in own]:
                del vars(module)[key]
            vars(module).update(own)
            for key, values in inside.items():
                own[key].clear()
                own[key].update(values)


def _on_device(model: Any, given: Any) -> Any:
    parameter = next(model.parameters(), None)
    if parameter is None:
        return given.float()
    return given.to(parameter.device, parameter.dtype)


def _run(model: Any, follow: Follower, given: Any, read: Reading, progress: Progress) -> None:
    axes, shape = read.axes, list(given.shape)
    sequence = read.call == "sequence"
    try:
        if sequence:
            given = given.clone()
            follow.input(given, "input", axes, None)
            model(given)
            return
        # Norse hands states back and wants them again; everybody else keeps them.
        returns_state = type(model).__module__.partition(".")[0] == "norse"
        state = None
        for time in range(read.steps):
            progress("recording", time, read.steps)
            now = given.select(axes.index("T"), time).clone() if "T" in axes else given.clone()
            shape = list(now.shape)
            follow.now = time
            follow.input(now, "input", axes.replace("T", ""), time)
            if returns_state:
                _, state = model(now, state)
            else:
                model(now)
    except TraceError:
        raise
    except Exception as exc:
        other = "step" if sequence else "sequence"
        message = shown(f"{type(exc).__name__}: {' '.join(str(exc).split())}", 200)
        raise TraceError(
            f"failed when called with {shape}: {message} (the other way is call='{other}'; axes were taken "
            f"for {axes if sequence else axes.replace('T', '')}, others are named by axes"
            f"{f'; {REPEATS}' * ('T' in axes)})",
            field="model",
        ) from exc
