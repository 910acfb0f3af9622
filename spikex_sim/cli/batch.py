"""Many recordings into a folder of traces that share weights and thresholds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spikex_sim.cli.making import Entered, say_thresholds
from spikex_sim.cli.options import echo
from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.core.progress import Progress
from spikex_sim.core.text import counted

if TYPE_CHECKING:
    from spikex_sim.cli.convert import Conversion
    from spikex_sim.sources.events.binning import BinnedEvents, Binning
    from spikex_sim.sources.events.clock import Times
    from spikex_sim.sources.events.collection import RecordingFile
    from spikex_sim.sources.events.columns import Reading
    from spikex_sim.sources.events.events import Events, Recordings
    from spikex_sim.trace.trace import Trace

MAX_TRACES = 1_000_000
LABEL_ROWS = 40
"""Most classes that the summary has a row for."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """One sample that becomes a trace."""

    file: RecordingFile
    recordings: Recordings
    index: int

    @property
    def label(self) -> int | None:
        """Class by the file, or by the folder it is in."""
        labels = self.recordings.labels
        return self.file.label if labels is None else int(labels[self.index])

    @property
    def name(self) -> str:
        """Path in the folder without its ending, and the number of the sample where there are several."""
        several = f"-{self.index}" if len(self.recordings) > 1 else ""
        return f"{self.file.name.removesuffix(self.file.path.suffix)}{several}"


@dataclass
class Account:
    """What became of the events of the recordings of one class."""

    recordings: int = 0
    events: int = 0
    kept: int = 0
    merged: int = 0
    out_of_range: int = 0
    places: int = 0

    def add(self, binned: BinnedEvents) -> None:
        """Count one more recording."""
        self.recordings += 1
        self.events += binned.kept + binned.merged + binned.out_of_range
        self.kept += binned.kept
        self.merged += binned.merged
        self.out_of_range += binned.out_of_range
        self.places += binned.spikes.size

    def cells(self) -> list[str]:
        """Texts of a row of the summary."""
        counts = (self.recordings, self.events, self.kept, self.merged, self.out_of_range)
        return [*(f"{count:,}" for count in counts), f"{100 * self.kept / max(self.places, 1):.4g}"]


@dataclass
class Summary:
    """Accounts by class and of all, and what files hold beside the events of the samples."""

    by_label: dict[int | None, Account] = field(default_factory=dict)
    total: Account = field(default_factory=Account)
    tally: Counter[str] = field(default_factory=Counter)
    times: Times | None = None
    odd: list[str] = field(default_factory=list)

    def add(self, one: Chosen, events: Events, binned: BinnedEvents, binning: Binning) -> None:
        """Count one more recording."""
        from spikex_sim.sources.events.clock import Times, oddity

        self.by_label.setdefault(one.label, Account()).add(binned)
        self.total.add(binned)
        self.tally["cropped away"] += binned.cropped
        times = Times.of(events, binned)
        self.times = times if self.times is None else self.times + times
        if odd := oddity(events, binned, binning):
            self.odd.append(f"{one.name}: {odd}")

    def show(self) -> None:
        """Print the table and the tally."""
        from spikex_sim.cli import show

        made = show.table(
            "Events", "label", "recordings", "events", "kept", "merged", "out of range", "rate %"
        )
        if len(self.by_label) <= LABEL_ROWS:
            for label in sorted(self.by_label, key=lambda label: -1 if label is None else label):
                made.add_row("none" if label is None else str(label), *self.by_label[label].cells())
        made.add_row("all", *self.total.cells())
        show.put(made)
        for what, count in self.tally.items():
            if count:
                echo(f"{what} in the files: {count:,}")
        echo(f"together: {self.times}")
        if self.odd:
            share = f"{len(self.odd):,} of {counted(self.total.recordings, 'recording')}"
            show.note(f"{self.odd[0]} ({share} so or otherwise odd)")


def convert_many(
    path: Path, samples: str | None, split: str, limit: int | None, conversion: Conversion, out: Path
) -> None:
    """Convert a folder of recordings, or several samples of one file, into a folder of traces.

    Parameters
    ----------
    path : Path
        Folder or file.
    samples : str or None
        Of a file, which: ``all``, or numbers and ranges separated by commas.
    split : str
        ``train``, ``test`` or ``all``.
    limit : int or None
        Most recordings to convert; of a folder with folders in it, they are taken from these in turn.
    conversion : Conversion
        Network, binning and sensor.
    out : Path
        Folder that is made; it is there whole or not at all.
    """
    from spikex_sim.cli import show
    from spikex_sim.core.files import new_folder
    from spikex_sim.sources.events.collection import RecordingFile, find_recordings
    from spikex_sim.trace.store import SUFFIXES, save_trace

    if out.suffix.lower() in SUFFIXES:
        raise OutputError("is the name of a trace; several go into a folder", where=str(out))
    files = find_recordings(path) if path.is_dir() else [RecordingFile(path, path.name, None, None)]
    show.log_to_terminal()
    if limit is not None:
        files = in_turn(files)
    summary = Summary()
    entered = conversion.entered
    with new_folder(out) as folder:
        with show.progress_bar("converting") as progress:
            chosen = _chosen(files, samples, split, limit, conversion.reading, summary, progress)
            for number, one in enumerate(chosen):
                if number >= MAX_TRACES:
                    raise ConfigError(f"more than {MAX_TRACES:,} recordings; use --limit", where=str(path))
                events = conversion.events(one.recordings, one.index)
                binned = conversion.binned(one.recordings, events)
                summary.add(one, events, binned, conversion.binning)
                trace = _trace(one, binned, conversion, entered, progress)
                entered = replace(entered, like=entered.like or trace)
                stem = re.sub(r"[^\w.-]", "_", one.name.rsplit("/", 1)[-1])[:40]
                save_trace(trace, folder / f"{number:06d}-{stem}.npz")
        if entered.like is None or not summary.total.recordings:
            part = "" if split == "all" else f" that is known to be of the {split} part"
            raise ConfigError(f"holds no recording{part}", where=str(path))
    summary.show()
    say_thresholds(entered.like)
    echo(f"wrote {out} ({counted(summary.total.recordings, 'trace')}, T={conversion.binning.timesteps})")


def in_turn(files: list[RecordingFile]) -> list[RecordingFile]:
    """Take files from their folders in turn, so that the first few are of all classes."""
    places: Counter[Path] = Counter()
    turns = []
    for file in files:
        turns.append(places[file.path.parent])
        places[file.path.parent] += 1
    return [file for _, file in sorted(zip(turns, files, strict=True), key=lambda pair: pair[0])]


def _trace(
    one: Chosen, binned: BinnedEvents, conversion: Conversion, entered: Entered, progress: Progress
) -> Trace:
    from spikex_sim.trace.npyheader import shown

    step = conversion.binning.step(conversion.events(one.recordings, one.index))
    name = shown(one.name, 100)
    source = f"{shown(one.file.name, 400)} sample {one.index}, {step} steps"
    return entered.trace(binned.spikes, name, source, one.label, progress)


def _chosen(
    files: list[RecordingFile],
    samples: str | None,
    split: str,
    limit: int | None,
    reading: Reading,
    summary: Summary,
    progress: Progress,
) -> Iterator[Chosen]:
    """Samples to convert, one file in memory at a time."""
    from spikex_sim.sources.events.events import SPLITS
    from spikex_sim.sources.events.formats import load_recordings

    done = 0
    for number, file in enumerate(files):
        if split != "all" and file.split not in (split, None):
            continue
        recordings = load_recordings(file.path, reading)
        summary.tally.update(recordings.tally)
        indices = sample_numbers(samples, len(recordings), recordings.source)
        for index in indices:
            part = file.split if recordings.splits is None else SPLITS[int(recordings.splits[index])]
            if split not in ("all", part):
                continue
            if len(files) > 1 and limit is None:
                progress(file.name, number, len(files))
            else:
                progress(file.name, done, min(limit or len(indices), max(len(indices), len(files))))
            yield Chosen(file, recordings, index)
            done += 1
            if done == limit:
                return


def sample_numbers(text: str | None, count: int, where: str) -> list[int] | range:
    """Read a list of samples.

    Parameters
    ----------
    text : str or None
        ``all``, or numbers and ranges separated by commas, e.g. ``0,3,7-9``; None for all.
    count : int
        Samples that there are.
    where : str
        File they are in.

    Raises
    ------
    ConfigError
        If it is no such list, or names a sample that is not there, or one twice.
    """
    if text is None or text.strip() == "all":
        return range(count)
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise ConfigError(
                f"wants all, or numbers and ranges such as 0,3,7-9, not {text!r:.60}", field="--samples"
            )
        low, high = int(found[1]), int(found[2] or found[1])
        if high >= count:
            raise ConfigError(
                f"{where} has no sample {high}; samples are 0 to {count - 1}", field="--samples"
            )
        numbers += range(low, high + 1)
        if len(numbers) > count:
            break
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{text!r:.60} names a sample twice", field="--samples")
    return numbers
