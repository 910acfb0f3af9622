// Processing element: the link registers are the working registers, TWS partial sums stand behind them.
//
// A token is held for one cycle and handed on to the right (weights) and down (spike bits) in the same
// cycle in which it works, so that PE (r, c) does what PE (0, 0) did r + c cycles before.
//
//   tap, bit i set     bank i adds the selected weight to its sum `group`; the gate of a zero spike is the
//                      clock enable of the sum (GATE = 1), else the PE adds zero
//   upd, bit i set     `rd` shows sum `group` of bank i, which is cleared at the clock edge
//
// Time point t of a window is bank t % ACC, group t / ACC: a tap takes ceil(tws / ACC) tokens.
module spx_pe #(
    parameter WB    = 8,                                    // bits of a weight
    parameter SB    = 24,                                   // bits of a partial sum; it wraps
    parameter TWS   = 4,                                    // largest window, time points
    parameter ACC   = 1,                                    // accumulators: banks of sums with an adder each
    parameter LANES = 1,                                    // weights of a token: taps that share a slot (StSAP)
    parameter GATE  = 1,                                    // zero spikes spare the addition
    parameter TB    = $clog2(TWS + 1),
    parameter GB    = TWS > ACC ? $clog2((TWS + ACC - 1) / ACC) : 1,
    parameter LB    = LANES > 1 ? $clog2(LANES) : 1
) (
    input                   clk,
    input                   rst,
    // verilator lint_off UNUSEDSIGNAL
    input  [TB-1:0]         tws,                            // window in use; with gates it does not matter
    // verilator lint_on UNUSEDSIGNAL
    // from the left: weights, and which of them are there; lane 0 of a row in use always is
    input  [LANES*WB-1:0]   w_in,
    input  [LANES-1:0]      w_valid_in,
    // from above
    input                   tap_in,
    input                   upd_in,
    input  [GB-1:0]         group_in,
    input  [ACC-1:0]        bits_in,
    input  [LB-1:0]         select_in,
    // to the right and down: what the link registers hold
    output reg [LANES*WB-1:0] w,
    output reg [LANES-1:0]  w_valid,
    output reg              tap,
    output reg              upd,
    output reg [GB-1:0]     group,
    output reg [ACC-1:0]    bits,
    output reg [LB-1:0]     select,
    // read-out of the update phase, 0 elsewhere
    output [SB-1:0]           rd
);
    localparam GROUPS = (TWS + ACC - 1) / ACC;

    always @(posedge clk) begin
        w       <= w_in;
        w_valid <= rst ? {LANES{1'b0}} : w_valid_in;
        tap     <= !rst & tap_in;
        upd     <= !rst & upd_in;
        group   <= group_in;
        bits    <= bits_in;
        select  <= select_in;
    end

    wire signed [WB-1:0] weight;
    generate
        if (LANES == 1) begin : alone
            assign weight = w;
        end else begin : packed_taps
            assign weight = w[select*WB +: WB];
        end
    endgenerate

    wire adds = tap & w_valid[0];
    wire clears = upd & w_valid[0];

    genvar i;
    generate
        for (i = 0; i < ACC; i = i + 1) begin : bank
            reg signed [SB-1:0] sum [0:GROUPS-1];
            wire signed [SB-1:0] held = sum[group];
            wire signed [SB-1:0] addend = GATE == 1 || bits[i] ? {{(SB-WB){weight[WB-1]}}, weight} : {SB{1'b0}};
            wire add;
            if (GATE == 1) begin : gated
                assign add = adds & bits[i];
            end else begin : open
                // verilator lint_off WIDTH
                assign add = adds & group * ACC + i < tws;
                // verilator lint_on WIDTH
            end
            wire [SB-1:0] shown = clears & bits[i] ? held : {SB{1'b0}};
            wire [SB-1:0] seen;
            integer k;
            always @(posedge clk)
                if (rst)
                    for (k = 0; k < GROUPS; k = k + 1)
                        sum[k] <= {SB{1'b0}};
                else if (clears & bits[i])
                    sum[group] <= {SB{1'b0}};
                else if (add)
                    sum[group] <= held + addend;
            if (i == 0) begin : first
                assign seen = shown;
            end else begin : further
                assign seen = bank[i-1].seen | shown;
            end
        end
    endgenerate
    assign rd = bank[ACC-1].seen;
endmodule
