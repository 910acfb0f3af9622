// Properties of spx_lif_row, from any state on; README.md says how to prove them.
//
// `held` are the potential registers of the columns. No port shows them: elaborate.tcl connects them.
module spx_lif_row_formal #(
    parameter COLS  = 8,
    parameter PB    = 16,
    parameter SB    = 24,
    parameter TWS   = 4,
    parameter POS   = 256,
    parameter CHAIN = 1,
    parameter CB    = COLS > 1 ? $clog2(COLS) : 1,
    parameter PW    = POS > 1 ? $clog2(POS) : 1,
    parameter OW    = 6 + CB + PW,
    parameter TB    = $clog2(TWS + 1)
) (
    input                 clk,
    input [COLS*OW-1:0]   op,
    input [COLS-1:0]      fetch,
    input [COLS*PW-1:0]   fetch_at,
    input [COLS*SB-1:0]   sums,
    input signed [SB-1:0] bias,
    input signed [PB:0]   th,
    input [4:0]           shift,
    input                 subtract,
    input [TB-1:0]        tws
);
    localparam [1:0] KEEP = 0;

    wire [COLS-1:0]    act, spike;
    wire [COLS*PW-1:0] pos;

    spx_lif_row #(.COLS(COLS), .PB(PB), .SB(SB), .TWS(TWS), .POS(POS), .CHAIN(CHAIN)) dut (
        .clk(clk), .op(op), .fetch(fetch), .fetch_at(fetch_at), .sums(sums), .bias(bias), .th(th),
        .shift(shift), .subtract(subtract), .tws(tws), .act(act), .spike(spike), .pos(pos)
    );

    (* keep *) wire [COLS*PB-1:0] held;

    reg begun = 0;                           // there is a cycle before this one
    always @(posedge clk) begun <= 1;

    // what operations ask for: of this cycle, and of the one before; and whether it is so
    wire [COLS-1:0] acts, live, kept;
    reg  [COLS-1:0] keep;

    genvar c;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : col
            wire          catches_up = op[c*OW+1];
            wire [1:0]    load = op[c*OW+3 +: 2];
            wire [PB-1:0] potential = held[c*PB +: PB];
            reg  [PB-1:0] before;

            assign acts[c] = op[c*OW];
            assign live[c] = op[c*OW+2];
            always @(posedge clk) begin
                keep[c] <= !acts[c] & !catches_up & load == KEEP;
                before <= potential;
            end
            assign kept[c] = potential == before;
        end
    endgenerate

    always @* begin
        act_reported: assert (act == acts);
        // No spike without an update, nor at a time point that the layer does not have.
        spike_acts: assert (!(spike & ~act));
        spike_live: assert (!(spike & ~live));
        // What is neither updated, nor caught up, nor loaded stays, whatever the other columns do.
        if (begun)
            potential_kept: assert (&(kept | ~keep));
    end
endmodule
