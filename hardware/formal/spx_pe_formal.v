// Properties of spx_pe, from any state on; README.md says how to prove them.
//
// `sums` are the sums of the PE, time point t of a window at t * SB: bank t % ACC, group t / ACC. No port
// shows them: elaborate.tcl connects them.
module spx_pe_formal #(
    parameter WB    = 8,
    parameter SB    = 24,
    parameter TWS   = 4,
    parameter ACC   = 1,
    parameter LANES = 1,
    parameter GATE  = 1,
    parameter TB    = $clog2(TWS + 1),
    parameter GB    = TWS > ACC ? $clog2((TWS + ACC - 1) / ACC) : 1,
    parameter LB    = LANES > 1 ? $clog2(LANES) : 1
) (
    input                clk,
    input                rst,
    input [TB-1:0]       tws,
    input [LANES*WB-1:0] w_in,
    input [LANES-1:0]    w_valid_in,
    input                tap_in,
    input                upd_in,
    input [GB-1:0]       group_in,
    input [ACC-1:0]      bits_in,
    input [LB-1:0]       select_in
);
    localparam POINTS = (TWS + ACC - 1) / ACC * ACC;         // that have a sum: of whole groups

    // the token at work
    wire [LANES*WB-1:0] w;
    wire [LANES-1:0]    w_valid;
    wire                tap, upd;
    wire [GB-1:0]       group;
    wire [ACC-1:0]      bits;
    wire [LB-1:0]       select;
    wire [SB-1:0]       rd;

    spx_pe #(.WB(WB), .SB(SB), .TWS(TWS), .ACC(ACC), .LANES(LANES), .GATE(GATE)) dut (
        .clk(clk), .rst(rst), .tws(tws), .w_in(w_in), .w_valid_in(w_valid_in), .tap_in(tap_in),
        .upd_in(upd_in), .group_in(group_in), .bits_in(bits_in), .select_in(select_in),
        .w(w), .w_valid(w_valid), .tap(tap), .upd(upd), .group(group), .bits(bits), .select(select), .rd(rd)
    );

    (* keep *) wire [POINTS*SB-1:0] sums;

    wire signed [WB-1:0] weight = LANES == 1 ? w : w >> select * WB;
    wire [SB-1:0]        addend = {{(SB-WB){weight[WB-1]}}, weight};

    // A token selects a lane that there is. Nothing else is assumed: not that it is either a tap or an
    // update, nor that its group is there, nor that its row is in use.
    generate
        if (LANES > 1) begin : lanes
            always @* assume (select < LANES);
        end
    endgenerate

    reg begun = 0;                           // there is a cycle before this one
    always @(posedge clk) begun <= 1;

    // --- Tokens --------------------------------------------------------------------------------------------

    reg [LANES*WB+GB+ACC+LB-1:0] came;
    reg [LANES+1:0]              came_valid;
    always @(posedge clk) begin
        came <= {w_in, group_in, bits_in, select_in};
        came_valid <= rst ? 0 : {tap_in, upd_in, w_valid_in};
    end

    // A token works, and is handed on, one cycle after it came.
    always @*
        if (begun) begin
            token_handed_on: assert ({w, group, bits, select} == came);
            token_valid: assert ({tap, upd, w_valid} == came_valid);
        end

    // --- Sums ----------------------------------------------------------------------------------------------

    // what the cycle before asks for, and whether it is so
    reg  [POINTS-1:0] clear, add, keep;
    wire [POINTS-1:0] cleared, added, kept;
    // an update reads this sum and no other, and whether it is what `rd` shows
    wire [POINTS-1:0] read, shown;

    genvar t;
    generate
        for (t = 0; t < POINTS; t = t + 1) begin : point
            wire          aimed = w_valid[0] & group == t / ACC & bits[t%ACC];
            wire          adds = tap & aimed & (GATE == 1 | t < tws);     // no gates: the window limits it
            wire [SB-1:0] sum = sums[t*SB +: SB];
            reg  [SB-1:0] before, raised;

            always @(posedge clk) begin
                clear[t] <= rst | (upd & aimed);
                add[t] <= !rst & adds & !(upd & aimed);
                keep[t] <= !rst & !adds & !(upd & aimed);
                before <= sum;
                raised <= sum + addend;
            end
            assign cleared[t] = sum == 0;
            assign added[t] = sum == raised;
            assign kept[t] = sum == before;
            assign read[t] = upd & aimed & bits == 1 << t % ACC;
            assign shown[t] = rd == sum;
        end
    endgenerate

    always @* begin
        if (begun) begin
            // An update leaves zero behind, and so does a reset.
            sum_cleared: assert (&(cleared | ~clear));
            // A tap adds its weight to the sums whose spike bit is set.
            sum_added: assert (&(added | ~add));
            // No other sum changes: of no other group, by no zero spike, in no row out of use, in no bubble.
            sum_kept: assert (&(kept | ~keep));
        end
        // An update of one bit reads what it clears.
        sum_read: assert (&(shown | ~read));
        // Outside of an update nothing is read.
        if (!(upd & w_valid[0]))
            nothing_read: assert (rd == 0);
    end
endmodule
