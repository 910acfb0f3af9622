// The array behind its tag scanner: tags and descriptors in, numbers of taps out, to read weights and words.
//
// The number of a tap stands there until its last cycle; an LBUF that answers a cycle later reads ahead.
module spx_scanned #(
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
    parameter GATE  = 1,                     // zero spikes spare the addition
    parameter KB    = 16,                    // bits of the number of taps of a batch
    parameter TAPS  = 64,                    // most taps of a layer, a multiple of SW
    parameter SW    = 32,                    // taps whose tags are read in a cycle
    parameter CN    = $clog2(COLS + 1),
    parameter RN    = $clog2(ROWS + 1),
    parameter PW    = POS > 1 ? $clog2(POS) : 1,
    parameter TB    = $clog2(TWS + 1)
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
    input                      d_last,
    input  [CN-1:0]            d_width,
    input                      d_clear,
    input  [RN-1:0]            d_rows,
    input  [ROWS*SB-1:0]       d_bias,
    input  [COLS*PW-1:0]       d_pos,
    input  [COLS*NW-1:0]       d_win,
    // tags of the batch whose descriptor comes next
    input                      t_valid,
    output                     t_ready,
    input  [SW*COLS-1:0]       t_tags,
    input                      t_last,
    // taps: the number of one, and what the LBUF has for it
    output                     k_valid,
    output                     k_ready,
    output [KB-1:0]            k_tap,
    input  [ROWS*WB-1:0]       k_w,
    input  [COLS*TWS-1:0]      k_words,
    // spikes
    output [ROWS*COLS-1:0]     o_act,
    output [ROWS*COLS-1:0]     o_spike,
    output [ROWS*COLS*PW-1:0]  o_pos,
    // the token that PE (0, 0) takes at the clock edge: the first and the last of a batch
    output                     first,
    output                     final_token
);
    wire takes_next, n_valid;
    wire [KB-1:0] n_taps;

    assign d_ready = takes_next & n_valid;

    spx_scanner #(.COLS(COLS), .TAPS(TAPS), .SW(SW), .KB(KB)) scanner (
        .clk(clk), .rst(rst), .t_valid(t_valid), .t_ready(t_ready), .t_tags(t_tags), .t_last(t_last),
        .n_valid(n_valid), .n_taps(n_taps), .n_take(d_valid & d_ready), .s_valid(k_valid), .s_tap(k_tap),
        .s_ready(k_ready)
    );

    spx_top #(
        .ROWS(ROWS), .COLS(COLS), .WB(WB), .SB(SB), .PB(PB), .TWS(TWS), .POS(POS), .NW(NW), .CHAIN(CHAIN),
        .ACC(ACC), .GATE(GATE), .KB(KB)
    ) top (
        .clk(clk), .rst(rst), .tws(tws), .th(th), .shift(shift), .subtract(subtract), .serial(serial),
        .update_cycles(update_cycles), .drain_batches(drain_batches), .last_window(last_window),
        .last_points(last_points), .d_valid(d_valid & n_valid), .d_ready(takes_next), .d_cols(d_cols),
        .d_last(d_last), .d_width(d_width), .d_clear(d_clear), .d_rows(d_rows), .d_bias(d_bias),
        .d_pos(d_pos), .d_win(d_win), .k_valid(k_valid), .k_ready(k_ready), .k_w(k_w), .k_words(k_words),
        .o_act(o_act), .o_spike(o_spike), .o_pos(o_pos), .first(first), .final_token(final_token),
        .d_taps(n_taps), .k_lanes(1'b1), .k_select({COLS{1'b0}})
    );
endmodule
