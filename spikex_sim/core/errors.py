"""Errors a user can mend: one line that names the place, the field and what to do; and faults of our own."""

from __future__ import annotations

from spikex_sim.core.text import harmless


class SpikexError(Exception):
    """Base of every error that the user can mend; the command line prints it and exits with 2.

    Parameters
    ----------
    message : str
        What is wrong and what to do, in one line.
    where : str, optional
        File or object the message is about.
    field : str, optional
        Key or field inside it.
    """

    def __init__(self, message: str, *, where: str = "", field: str = "") -> None:
        parts = (" ".join(part.split()) for part in (where, field, message))
        super().__init__(harmless(": ".join(part for part in parts if part)))


class ConfigError(SpikexError):
    """An accelerator configuration, an override or a command-line value is wrong."""


class UnusedKeyError(ConfigError):
    """A configuration key is stated that a machine does not read, or that other keys make idle.

    Parameters
    ----------
    message, where, field : str
        As of :class:`SpikexError`; ``field`` is the key.
    idle : bool
        Whether the machine reads it, with other values of other keys.
    """

    def __init__(self, message: str, *, where: str = "", field: str = "", idle: bool = False) -> None:
        super().__init__(message, where=where, field=field)
        self.key, self.idle = field, idle


class TraceError(SpikexError):
    """A trace or recording cannot be read, is inconsistent or would not fit in memory."""


class UnsupportedError(SpikexError):
    """A machine cannot take what is in a trace, though trace and configuration are right by themselves."""


class ScheduleError(SpikexError):
    """A plug-in's schedule leaves work out, repeats it, orders it wrongly or asks too much of the array."""


class PluginError(SpikexError):
    """A plug-in gives something of another kind than it is asked for."""


class EnergyTableError(SpikexError):
    """An energy is asked for that the table does not have, or the table itself is malformed."""


class OutputError(SpikexError):
    """A result cannot be written where the user asked for it."""


class ResultsError(SpikexError):
    """Saved results cannot be read back: missing, damaged, or of another layout."""


class FigureError(SpikexError):
    """A figure is asked for that what is there does not hold, or what is there cannot be read."""


class InternalError(Exception):
    """A counter holds what cannot be: a fault of this program or of a plug-in, never a result.

    The command line prints it in one line and exits with 70.

    Parameters
    ----------
    fault : str
        The counter by its name, and what it holds.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(f"internal error: {fault}; this is a fault of the program, please report it")

    def __reduce__(self) -> tuple[type[InternalError], tuple[str]]:
        return type(self), (self.fault,)
