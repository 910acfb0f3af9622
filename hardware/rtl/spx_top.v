// The SpikeX array: sequencer and array. Descriptors and taps in, spikes out.
//
// Both streams show their first word before it is taken (`valid`, `ready`). The rows' LIF units give a spike
// per column, position and cycle, the time points of a window one after the other.
module spx_top #(
    parameter ROWS  = 8,
    parameter COLS  = 8,
    parameter WB    = 8,                     // bits of a weight
    parameter SB    = 24,                    // bits of a partial sum, which wraps, and of a bias
    parameter PB    = 16,                    // bits of a potential, which saturates
    parameter TWS   = 4,                     // largest window, time points
    parameter POS   = 256,                   // positions of a layer
    parameter NW    = 8,                     // bits of a window number
    parameter CHAIN = 1,                     // a skipped window in one cycle; 0: a leak per cycle
    parameter ACC   = 1,                     // accumulators per PE
    parameter LANES = 1,                     // taps that may share a slot (StSAP)
    parameter GATE  = 1,                     // zero spikes spare the addition
    parameter KB    = 16,                    // bits of the number of taps of a batch
    parameter CB    = COLS > 1 ? $clog2(COLS) : 1,
    parameter CN    = $clog2(COLS + 1),
    parameter RN    = $clog2(ROWS + 1),
    parameter PW    = POS > 1 ? $clog2(POS) : 1,
    parameter OW    = 6 + CB + PW,
    parameter TB    = $clog2(TWS + 1),
    parameter GB    = TWS > ACC ? $clog2((TWS + ACC - 1) / ACC) : 1,
    parameter LB    = LANES > 1 ? $clog2(LANES) : 1
) (
    input                      clk,
    input                      rst,
    // static for a layer
    input  [TB-1:0]            tws,          // window in use
    input  signed [PB:0]       th,           // threshold, clipped
    input  [4:0]               shift,        // leak
    input                      subtract,     // soft reset
    input                      serial,       // catch-up takes tws cycles: of CHAIN = 0
    input  [6:0]               update_cycles,
    input                      drain_batches,
    input  [NW-1:0]            last_window,  // of the layer, and its time points: what is beyond is silent
    input  [TB-1:0]            last_points,
    // descriptors
    input                      d_valid,
    output                     d_ready,
    input  [CN-1:0]            d_cols,
    input  [KB-1:0]            d_taps,
    input                      d_last,
    input  [CN-1:0]            d_width,
    input                      d_clear,
    input  [RN-1:0]            d_rows,
    input  [ROWS*SB-1:0]       d_bias,
    input  [COLS*PW-1:0]       d_pos,
    input  [COLS*NW-1:0]       d_win,
    // taps
    input                      k_valid,
    output                     k_ready,
    input  [LANES*ROWS*WB-1:0] k_w,
    input  [LANES-1:0]         k_lanes,
    input  [COLS*TWS-1:0]      k_words,
    input  [COLS*LB-1:0]       k_select,
    // spikes
    output [ROWS*COLS-1:0]     o_act,
    output [ROWS*COLS-1:0]     o_spike,
    output [ROWS*COLS*PW-1:0]  o_pos,
    // the token that PE (0, 0) takes at the clock edge: the first and the last of a batch
    output                     first,
    output                     final_token
);
    wire tap, upd;
    wire [COLS*GB-1:0] groups;
    wire [COLS-1:0] use_column;
    wire [COLS*ACC-1:0] bits;
    wire [COLS*LB-1:0] select;
    wire [LANES*ROWS*WB-1:0] w;
    wire [LANES-1:0] lanes;
    wire [COLS*OW-1:0] op;
    wire [CN-1:0] width;
    wire [RN-1:0] rows;
    wire [ROWS*SB-1:0] bias;

    spx_sequencer #(
        .ROWS(ROWS), .COLS(COLS), .WB(WB), .SB(SB), .TWS(TWS), .POS(POS), .NW(NW), .ACC(ACC), .LANES(LANES),
        .KB(KB)
    ) sequencer (
        .clk(clk), .rst(rst), .tws(tws), .serial(serial), .update_cycles(update_cycles),
        .drain_batches(drain_batches), .last_window(last_window), .last_points(last_points), .d_valid(d_valid),
        .d_ready(d_ready), .d_cols(d_cols), .d_taps(d_taps), .d_last(d_last), .d_width(d_width), .d_clear(d_clear), .d_rows(d_rows), .d_bias(d_bias),
        .d_pos(d_pos), .d_win(d_win), .k_valid(k_valid), .k_ready(k_ready), .k_w(k_w), .k_lanes(k_lanes),
        .k_words(k_words), .k_select(k_select), .tap(tap), .upd(upd), .first(first),
        .final_token(final_token), .groups(groups), .use_column(use_column), .bits(bits), .select(select),
        .w(w), .lanes(lanes), .op(op), .width(width), .rows(rows), .bias(bias)
    );

    spx_array #(
        .ROWS(ROWS), .COLS(COLS), .WB(WB), .SB(SB), .PB(PB), .TWS(TWS), .POS(POS), .CHAIN(CHAIN), .ACC(ACC),
        .LANES(LANES), .GATE(GATE)
    ) array (
        .clk(clk), .rst(rst), .tws(tws), .th(th), .shift(shift), .subtract(subtract), .tap(tap), .upd(upd),
        .groups(groups), .use_column(use_column), .bits(bits), .select(select), .w(w), .lanes(lanes), .op(op),
        .width(width), .rows(rows), .bias(bias), .o_act(o_act), .o_spike(o_spike), .o_pos(o_pos)
    );
endmodule
