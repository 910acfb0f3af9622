"""Areas of presets in print."""

from __future__ import annotations

from spikex_sim.core.sheet import Sheet, short, table


def preset_table(energy_table: str) -> Sheet | None:
    """Areas of the presets that an energy table is for, by part, and their rows; None without."""
    from spikex_sim.accelerators.base import energy_model
    from spikex_sim.run.area_tables import KNOWN, missing, sources
    from spikex_sim.run.tables import heading
    from spikex_sim.spec.load import load_accelerator, preset_names

    archs = [load_accelerator(name) for name in preset_names()]
    models = {arch.name: energy_model(arch) for arch in archs if arch.energy.table == energy_table}
    models = {name: model for name, model in models.items() if model.area_mm2_by}
    if not models:
        return None
    parts = list(dict.fromkeys(part for model in models.values() for part in model.area_mm2_by))
    made = table("Area of presets, mm²", "preset", *map(heading, parts), KNOWN)
    lacking: dict[str, list[str]] = {}
    for name, model in models.items():
        areas = model.area_mm2_by
        cells = (f"{areas[part]:.4g}" if part in areas else "" for part in parts)
        made.add_row(short(name), *cells, f"{sum(areas.values()):.4g}")
        for line in missing(model.area.absent):
            lacking.setdefault(line, []).append(name)
    found = dict.fromkeys(text for model in models.values() for text in sources(model, model.area_mm2_by))
    made.caption = "\n".join([*(f"{', '.join(names)}: {line}" for line, names in lacking.items()), *found])
    return made
