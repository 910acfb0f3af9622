"""NeuroNAS (Putra and Shafique, 2024), which builds on SNASNet (Kim et al., ECCV 2022)."""
