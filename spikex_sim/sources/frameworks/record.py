"""Record a PyTorch network while it runs: spikes, weights and neurons become a trace.

PyTorch is imported here and nowhere else in the package's core, and only when something is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Literal

from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.origin import pip_install
from spikex_sim.core.progress import Progress, silent
from spikex_sim.sources.frameworks.chain import Chain
from spikex_sim.sources.frameworks.dynamics import Dynamics, described, dynamics_of
from spikex_sim.sources.frameworks.seen import Horizon, Role, Seen
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import MAX_SAMPLES, MAX_TIMESTEPS, Trace

Call = Literal["step", "sequence"]
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
    progress: Progress | None = None,
) -> Trace:
    """Run a network on spikes and record it.

    The model is put into eval mode, its neurons' states are reset, and it runs without gradients. Layers
    are recorded in the order in which they run.

    Parameters
    ----------
    model : torch.nn.Module
        Made of Conv2d, Linear, BatchNorm2d, MaxPool2d and AvgPool2d, neurons of snnTorch, SpikingJelly or
        Norse or of ``neurons``, and modules that pass values on (Flatten, Dropout).
    inputs : tensor or array
        Spikes ``[T, B, C, H, W]`` or ``[T, B, N]``; without ``B``, ``[T, C, H, W]`` or ``[T, N]``, of one
        sample. The model always gets an axis for samples.
    call : {"step", "sequence"}, optional
        Whether the model is called once for each time point, with ``[B, ...]``, or once with
        ``[T, B, ...]``. Default: "sequence" if a SpikingJelly module has step mode 'm', else "step".
    neurons : mapping, optional
        Spiking modules of one's own, by name or class: a
        :class:`~spikex_sim.sources.frameworks.dynamics.Dynamics` or a mapping with its keys. The module gives
        spikes, or a tuple with spikes first.
    skip : collection of str
        Modules, by name, that are left out, with all inside them: a first layer that takes an image, a
        readout.
    nearest : bool
        Take the nearest neuron there is where a module has no exact counterpart.
    closed_loop : bool
        Keep the first layer's input alone, so that all others are computed in a replay.
    label : int or tuple of int, optional
        Class, for several samples one for each.
    name : str
        Of the trace; default: the model's class.
    progress : callable, optional
        Called with what is done, time points done and all.

    Returns
    -------
    Trace
        In the float datapath.

    Raises
    ------
    TraceError
        In one line, naming module and reason, if something has no counterpart in this simulator.
    """
    torch = _import_torch()
    if not isinstance(model, torch.nn.Module):
        raise TraceError(f"is a {type(model).__name__}, not a torch.nn.Module", field="model")
    where = name or type(model).__name__
    try:
        given = torch.as_tensor(inputs)
    except (TypeError, ValueError, RuntimeError):
        raise TraceError(f"are no array of numbers but a {type(inputs).__name__}", where=where,
                         field="inputs") from None  # fmt: skip
    spikes, batched = _with_samples(given, where)
    if call is None:
        multi = any(getattr(one, "step_mode", "s") == "m" for one in model.modules())
        call = "sequence" if multi else "step"
    if call not in ("step", "sequence"):
        raise TraceError(f"must be step or sequence, not {call!r:.40}", where=where, field="call")
    horizon = Horizon(spikes.shape[0], spikes.shape[1], call == "sequence")
    try:
        watched = _watched(torch, model, dict(neurons or {}), set(skip))
        with _prepared(torch, model), _hooks(watched, horizon) as order:
            _run(model, _on_device(model, spikes), horizon, progress or silent)
        chain = Chain(where, horizon, nearest=nearest)
        for seen in order:
            chain.add(seen)
        return chain.trace(
            name=where,
            source=f"recorded from {type(model).__name__}, PyTorch {torch.__version__}",
            label=label,
            batched=batched,
            closed_loop=closed_loop,
        )
    except TraceError as exc:
        if str(exc).startswith(f"{where}: "):
            raise
        raise TraceError(str(exc), where=where) from exc.__cause__


def _import_torch() -> Any:
    try:
        return import_module("torch")
    except ImportError:
        raise TraceError(f"recording needs PyTorch: {pip_install('frameworks')}") from None


def _with_samples(inputs: Any, where: str) -> tuple[Any, bool]:
    """Inputs with an axis of samples, and whether they came with one."""
    if inputs.ndim not in (2, 3, 4, 5) or not all(inputs.shape):
        raise TraceError(
            f"have shape {list(inputs.shape)}; [T, B, C, H, W] or [T, B, N] is wanted, or the same without B",
            where=where,
            field="inputs",
        )
    batched = inputs.ndim in (3, 5)
    if not batched:
        inputs = inputs[:, None]
    if inputs.shape[0] > MAX_TIMESTEPS or inputs.shape[1] > MAX_SAMPLES:
        raise TraceError(
            f"are {inputs.shape[0]} time points and {inputs.shape[1]} samples, more than {MAX_TIMESTEPS} and "
            f"{MAX_SAMPLES}",
            where=where,
            field="inputs",
        )
    return inputs, batched


def _watched(torch: Any, model: Any, neurons: dict[Any, Description], skip: set[str]) -> list[Seen]:
    """Modules to look at, also those of modules; none inside a neuron or inside one that is left out."""
    names = {path for path, _ in model.named_modules()}
    for path in [*skip, *(key for key in neurons if isinstance(key, str))]:
        if path not in names:
            raise TraceError(
                f"names '{shown(path)}', and the model has no such module", field="skip or neurons"
            )
    found: list[Seen] = []
    closed = set(skip)
    for path, module in model.named_modules():
        if any(path == one or path.startswith(f"{one}.") for one in closed):
            continue
        title = path or type(module).__name__
        given = neurons.get(path, neurons.get(type(module)))
        try:
            dynamics = dynamics_of(module) if given is None else described(given)
        except TraceError as exc:
            raise TraceError(str(exc), field=f"{title} ({type(module).__name__})") from None
        role: Role = "neuron" if dynamics is not None else _role(torch.nn, module)
        if not path and role == "other":
            continue  # the model itself
        if role != "other":
            closed.add(path)
        found.append(Seen(title, role, module, dynamics))
    return found


def _role(nn: Any, module: Any) -> Role:
    """What a module is; a subclass with a forward of its own may be anything."""
    kinds: tuple[tuple[Any, Role], ...] = (
        (nn.Conv2d, "synapse"),
        (nn.Linear, "synapse"),
        (nn.BatchNorm2d, "norm"),
        (nn.MaxPool2d, "maxpool"),
        (nn.AvgPool2d, "avgpool"),
        (nn.AdaptiveAvgPool2d, "avgpool"),
    )
    kind = type(module)
    wrapper = kind.__module__.startswith("spikingjelly.activation_based.layer")
    for base, role in kinds:
        if isinstance(module, base) and (
            kind.forward is base.forward or (wrapper and base in kind.__bases__)
        ):
            return role
    return "other"


@contextmanager
def _prepared(torch: Any, model: Any) -> Iterator[None]:
    """Eval mode, potentials at rest, no gradients; training flags are put back."""
    training = {module: module.training for module in model.modules()}
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
        for module, flag in training.items():
            module.training = flag


@contextmanager
def _hooks(watched: list[Seen], horizon: Horizon) -> Iterator[list[Seen]]:
    """Look at modules while the model runs; gives those that ran, in the order in which they did."""
    order: list[Seen] = []

    def hook(seen: Seen) -> Callable[..., None]:
        def look(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            entered = next((one for one in (*args, *kwargs.values()) if hasattr(one, "detach")), None)
            left = output[0] if isinstance(output, tuple) and output else output
            if entered is None or not hasattr(left, "detach"):
                return
            if not seen.taken:
                order.append(seen)
            try:
                seen.look(_numpy(entered), _numpy(left), horizon)
            except TraceError:
                if seen.role != "other":
                    raise

        return look

    with ExitStack() as stack:
        for seen in watched:
            handle = seen.module.register_forward_hook(hook(seen), with_kwargs=True)
            stack.callback(handle.remove)
        yield order


def _numpy(tensor: Any) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def _on_device(model: Any, spikes: Any) -> Any:
    parameter = next(model.parameters(), None)
    if parameter is None:
        return spikes.float()
    return spikes.to(parameter.device, parameter.dtype)


def _run(model: Any, spikes: Any, horizon: Horizon, progress: Progress) -> None:
    try:
        if horizon.sequence:
            model(spikes)
            return
        # Norse hands states back and wants them again; everybody else keeps them.
        returns_state = type(model).__module__.partition(".")[0] == "norse"
        state = None
        for time, now in enumerate(spikes):
            progress("recording", time, horizon.timesteps)
            if returns_state:
                _, state = model(now, state)
            else:
                model(now)
    except TraceError:
        raise
    except Exception as exc:
        given, other = (spikes, "step") if horizon.sequence else (spikes[0], "sequence")
        message = shown(f"{type(exc).__name__}: {' '.join(str(exc).split())}", 200)
        raise TraceError(
            f"failed when called with {list(given.shape)}: {message} (the other way is call='{other}')",
            field="model",
        ) from exc
