// Potentials of a row of the array in the LBUF: a word per position, read one clock cycle ahead.
//
// PORTS words may be read and written in one cycle. A memory of one port takes a write-back and a prefetch
// word per LIF unit instead: at least one whole batch lies between the store of a potential and its load.
module spx_potentials #(
    parameter PORTS = 8,
    parameter PB    = 16,
    parameter POS   = 256,
    parameter PW    = POS > 1 ? $clog2(POS) : 1
) (
    input                     clk,
    input      [PORTS-1:0]    read,
    input      [PORTS*PW-1:0] read_at,
    output reg [PORTS*PB-1:0] value,
    input      [PORTS-1:0]    write,
    input      [PORTS*PW-1:0] write_at,
    input      [PORTS*PB-1:0] given
);
    reg [PB-1:0] word [0:POS-1];
    integer c;
    always @(posedge clk)
        for (c = 0; c < PORTS; c = c + 1) begin
            if (read[c])
                value[c*PB +: PB] <= word[read_at[c*PW +: PW]];
            if (write[c])
                word[write_at[c*PW +: PW]] <= given[c*PB +: PB];
        end
endmodule
