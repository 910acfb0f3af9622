// Batch controller: descriptors in, wavefronts out, a token per cycle for PE (0, 0).
//
// Of a batch it is told its columns and the number of its taps; the windows that a neuron skipped, where its
// potential is, and the end of the update phase and of the tile are found here. No duration is given to it.
//
//   TAPS     the words of a tap, ACC time points a cycle; the tap at the head of its stream stays there until
//            its last token; where there is none, the array waits
//   UPDATE   each column: the load of its potential, a step for every window that its neuron skipped, then
//            tws time points of `update_cycles` each, the work in the last of them. A column whose neuron has
//            an earlier window in the batch waits for that one. The phase ends with its last column.
//   DRAIN    behind the last batch of a tile (`drain_batches`: every batch): rows - 1 + width - 1 cycles, in
//            which what PE (0, 0) did reaches the last LIF unit
module spx_sequencer #(
    parameter ROWS  = 8,
    parameter COLS  = 8,
    parameter WB    = 8,
    parameter SB    = 24,
    parameter TWS   = 4,
    parameter POS   = 256,
    parameter NW    = 8,
    parameter ACC   = 1,
    parameter LANES = 1,
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
    input  [TB-1:0]            tws,
    input                      serial,           // a skipped window is caught up in tws cycles, else in one
    input  [6:0]               update_cycles,    // of a time point, at least 1
    input                      drain_batches,
    input  [NW-1:0]            last_window,      // of the layer, and how many of its time points there are:
    input  [TB-1:0]            last_points,      // what is beyond them does not spike
    // descriptors: what a batch is
    input                      d_valid,
    output                     d_ready,
    input  [CN-1:0]            d_cols,           // columns in use, at least 1
    input  [KB-1:0]            d_taps,           // taps, or slots that taps share; may be 0
    input                      d_last,           // of its tile
    input  [CN-1:0]            d_width,          // columns of the widest batch of its tile
    input                      d_clear,          // a row group starts
    input  [RN-1:0]            d_rows,           // output channels of the row group
    input  [ROWS*SB-1:0]       d_bias,
    input  [COLS*PW-1:0]       d_pos,
    input  [COLS*NW-1:0]       d_win,            // ascending for a position
    // taps: a weight per row and lane, a word of TWS bits and the lane of its weight per column
    input                      k_valid,
    output                     k_ready,
    input  [LANES*ROWS*WB-1:0] k_w,              // lane by lane
    input  [LANES-1:0]         k_lanes,
    input  [COLS*TWS-1:0]      k_words,          // 0: no tag
    input  [COLS*LB-1:0]       k_select,
    // wavefront
    output                     tap,
    output                     upd,
    output                     first,            // of a batch
    output                     final_token,      // of a batch
    output [COLS*GB-1:0]       groups,           // of each column: a tap's token, or where the sum is
    output [COLS-1:0]          use_column,
    output [COLS*ACC-1:0]      bits,
    output [COLS*LB-1:0]       select,
    output [LANES*ROWS*WB-1:0] w,
    output [LANES-1:0]         lanes,
    output [COLS*OW-1:0]       op,
    output reg [CN-1:0]        width,
    output reg [RN-1:0]        rows,
    output reg [ROWS*SB-1:0]   bias
);
    localparam [1:0] IDLE = 0, TAPS = 1, UPDATE = 2, DRAIN = 3;
    localparam [1:0] KEEP = 0, REST = 1, LBUF = 2, ROW = 3;

    reg [1:0]      state;
    reg            begun;                        // a token of the batch was sent
    reg [KB-1:0]   taps_left;
    reg [GB-1:0]   at_group;
    reg            last_of_tile;
    reg [CN+RN:0]  drain_left;
    reg [COLS-1:0] in_use;

    // --- What a new batch needs to know of its columns --------------------------------------------------

    wire [COLS-1:0]    d_use, seen, recent;
    wire [COLS*NW-1:0] last_issued;
    wire [COLS*CB-1:0] last_column;
    wire               takes = d_valid & d_ready;

    spx_window_table #(.COLS(COLS), .POS(POS), .NW(NW)) windows (
        .clk(clk), .write(takes), .clear(d_clear), .use_column(d_use), .pos(d_pos), .win(d_win),
        .seen(seen), .recent(recent), .last(last_issued), .column(last_column)
    );

    // --- Phases -----------------------------------------------------------------------------------------

    wire [COLS-1:0] finishes;                    // columns that are through with their window in this cycle
    wire [COLS-1:0] through;                     // or were before
    wire [COLS-1:0] columns_done;
    wire sends_tap = state == TAPS & k_valid;
    // verilator lint_off WIDTH
    wire tap_ends = (at_group + 1) * ACC >= tws;
    // verilator lint_on WIDTH
    wire taps_end = sends_tap & tap_ends & taps_left == 1;
    wire update_ends = state == UPDATE & &columns_done;
    wire [CN+RN:0] skew = {{(RN+1){1'b0}}, width} + {{(CN+1){1'b0}}, rows} - 2;
    wire drains = (last_of_tile | drain_batches) & skew != 0;

    assign columns_done = through | finishes | ~in_use;
    assign k_ready = sends_tap & tap_ends;
    assign d_ready = state == IDLE | (update_ends & !drains) | (state == DRAIN & drain_left == 1);
    assign tap = sends_tap;
    assign upd = state == UPDATE;
    assign first = (tap | upd) & !begun;
    assign final_token = update_ends;
    assign use_column = in_use;
    assign select = k_select;
    assign w = k_w;
    assign lanes = upd ? {{(LANES-1){1'b0}}, 1'b1} : k_lanes;

    always @(posedge clk)
        if (rst) begin
            state <= IDLE;
            at_group <= {GB{1'b0}};
            width <= {CN{1'b0}};
            rows <= {RN{1'b0}};
        end else begin
            if (tap | upd)
                begun <= 1'b1;
            if (sends_tap) begin
                at_group <= tap_ends ? {GB{1'b0}} : at_group + 1'b1;
                if (tap_ends)
                    taps_left <= taps_left - 1'b1;
            end
            if (taps_end)
                state <= UPDATE;
            if (update_ends) begin
                state <= drains ? DRAIN : IDLE;
                drain_left <= skew;
            end
            if (state == DRAIN) begin
                drain_left <= drain_left - 1'b1;
                if (drain_left == 1)
                    state <= IDLE;
            end
            if (takes) begin
                state <= d_taps != 0 ? TAPS : UPDATE;
                begun <= 1'b0;
                taps_left <= d_taps;
                last_of_tile <= d_last;
                in_use <= d_use;
                // with every batch drained, each is a tile of its own
                width <= drain_batches ? d_cols : d_width;
                rows <= d_rows;
                bias <= d_bias;
            end
        end

    // --- Columns ----------------------------------------------------------------------------------------

    genvar c, k;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : col
            assign d_use[c] = c < d_cols;

            // The column before that holds the neuron's preceding window, and whether the next one that holds
            // the neuron has the adjacent window: nearest ones win.
            for (k = 0; k < c; k = k + 1) begin : before_it
                wire same = d_pos[k*PW +: PW] == d_pos[c*PW +: PW];
                wire any;
                wire [CB-1:0] nearest;
                if (k == 0) begin : farthest
                    assign any = same;
                    assign nearest = {CB{1'b0}};
                end else begin : nearer
                    assign any = same | before_it[k-1].any;
                    assign nearest = same ? k : before_it[k-1].nearest;
                end
            end
            for (k = COLS - 1; k > c; k = k - 1) begin : behind_it
                wire same = d_use[k] & d_pos[k*PW +: PW] == d_pos[c*PW +: PW];
                wire goes_on = d_win[k*NW +: NW] == d_win[c*NW +: NW] + 1'b1;
                wire adjacent;
                if (k == COLS - 1) begin : farthest
                    assign adjacent = same & goes_on;
                end else begin : nearer
                    assign adjacent = same ? goes_on : behind_it[k+1].adjacent;
                end
            end
            wire has_pred, runs_on;
            wire [CB-1:0] pred;
            wire [NW-1:0] pred_window;
            if (c == 0) begin : leftmost
                assign has_pred = 1'b0;
                assign pred = {CB{1'b0}};
                assign pred_window = {NW{1'b0}};
            end else begin : others
                assign has_pred = before_it[c-1].any;
                assign pred = before_it[c-1].nearest;
                assign pred_window = d_win[pred*NW +: NW];
            end
            if (c == COLS - 1) begin : rightmost
                assign runs_on = 1'b0;
            end else begin : with_others
                assign runs_on = behind_it[c+1].adjacent;
            end
            wire was_issued = has_pred | seen[c];
            wire [NW-1:0] before_window = has_pred ? pred_window : last_issued[c*NW +: NW];

            reg [PW-1:0] pos;
            reg [1:0]    load;
            reg [CB-1:0] src;
            reg          waits;                  // for column src
            reg          ragged;                 // the window is the last one of the layer
            reg          store;
            reg [NW-1:0] owed;                   // windows to catch up
            reg          loaded, done;
            reg [TB-1:0] leak;                   // of a window that is caught up leak by leak
            reg [TB-1:0] point;
            reg [6:0]    wait_left;

            wire runs = state == UPDATE & in_use[c] & !done & (loaded | !waits | through[src]);
            wire catchup = runs & owed != 0;
            wire updates = runs & owed == 0;
            wire leaks_end = !serial | leak + 1'b1 == tws;
            wire act = updates & wait_left == 0;

            assign finishes[c] = act & point + 1'b1 == tws;
            assign through[c] = done;

            always @(posedge clk)
                if (takes) begin
                    pos <= d_pos[c*PW +: PW];
                    waits <= has_pred;
                    ragged <= d_win[c*NW +: NW] == last_window;
                    load <= has_pred ? ROW : !was_issued ? REST : recent[c] ? ROW : LBUF;
                    src <= has_pred ? pred : last_column[c*CB +: CB];
                    store <= !runs_on;
                    owed <= was_issued ? d_win[c*NW +: NW] - before_window - 1'b1 : {NW{1'b0}};
                    loaded <= 1'b0;
                    done <= 1'b0;
                    leak <= {TB{1'b0}};
                    point <= {TB{1'b0}};
                    wait_left <= update_cycles - 1'b1;
                end else begin
                    if (runs)
                        loaded <= 1'b1;
                    if (catchup) begin
                        leak <= leaks_end ? {TB{1'b0}} : leak + 1'b1;
                        if (leaks_end)
                            owed <= owed - 1'b1;
                    end
                    if (updates)
                        wait_left <= act ? update_cycles - 1'b1 : wait_left - 1'b1;
                    if (act)
                        point <= point + 1'b1;
                    if (finishes[c])
                        done <= 1'b1;
                end

            assign op[c*OW +: OW] = {
                finishes[c] & store, pos, src, runs & !loaded ? load : KEEP, !ragged | point < last_points, catchup, act
            };

            // Tokens: the words of a tap; of an update the bank and group of its time point.
            wire [ACC-1:0] served, updated;
            if (ACC == 1) begin : one
                wire [TWS-1:0] word = k_words[c*TWS +: TWS];
                assign served = word[at_group];
                assign updated = 1'b1;
                assign groups[c*GB +: GB] = upd ? point[GB-1:0] : at_group;
            end else begin : several
                // verilator lint_off WIDTH
                wire [ACC*((TWS+ACC-1)/ACC)-1:0] word = k_words[c*TWS +: TWS];
                assign served = word[at_group*ACC +: ACC];
                assign updated = 1 << point % ACC;
                assign groups[c*GB +: GB] = upd ? point / ACC : at_group;
                // verilator lint_on WIDTH
            end
            assign bits[c*ACC +: ACC] = upd ? (act ? updated : {ACC{1'b0}}) : served;
        end
    endgenerate
endmodule
