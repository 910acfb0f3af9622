"""The array in hardware: layers as vectors for the Verilog in ``hardware/``, and what it must answer."""
