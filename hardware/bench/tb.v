// Bench: replays the vectors of any number of layers through the array and logs what it does.
//
//   +vectors=FILE  words of 32 bits in hexadecimal, blank-separated; docs/rtl.md has the format
//   +log=FILE      of each layer, in the order of time, cycles counted from its first token in PE (0, 0):
//                    F cycle                 a batch's first token is in PE (0, 0)
//                    E cycle                 a batch's last token has left it
//                    U cycle row pos spike   a LIF unit updates a neuron
//                    D cycles additions weight-writes updates catch-ups stores held
//                                            the last LIF operation and what was counted; held: cycles in
//                                            which PE (0, 0) has a token
//                    stuck                   65,536 cycles without a token taken or an update, or an X for one
//   +bubbles=N     one tap in N comes late, by 1 to 3 cycles
//
// With the macro SCANNED the array has its tag scanner: a batch lists all taps, tagged or not, and the bench is
// the LBUF that the scanner reads the tags of the next batch from, SW taps a cycle, and the words of this one.
module tb;
    parameter ROWS  = 8;
    parameter COLS  = 8;
    parameter WB    = 8;
    parameter SB    = 24;
    parameter PB    = 16;
    parameter TWS   = 4;
    parameter POS   = 256;
    parameter NW    = 8;
    parameter CHAIN = 1;
    parameter ACC   = 1;
    parameter LANES = 1;
    parameter GATE  = 1;
    parameter TAPS  = 64;
    parameter SW    = 32;
    localparam KB = 16;
    localparam CB = COLS > 1 ? $clog2(COLS) : 1;
    localparam PW = POS > 1 ? $clog2(POS) : 1;
    localparam OW = 6 + CB + PW;
    localparam LB = LANES > 1 ? $clog2(LANES) : 1;

    reg clk = 0;
    always #1 clk = ~clk;

    reg rst = 1;
    reg [$clog2(TWS+1)-1:0] tws;
    reg signed [PB:0] th;
    reg [4:0] shift;
    reg subtract, serial, drain_batches;
    reg [6:0] update_cycles;
    reg [NW-1:0] last_window;
    reg [$clog2(TWS+1)-1:0] last_points;
    reg d_valid = 0, d_last, d_clear;
    reg [$clog2(COLS+1)-1:0] d_cols, d_width;
    reg [KB-1:0] d_taps;
    reg [$clog2(ROWS+1)-1:0] d_rows;
    reg [ROWS*SB-1:0] d_bias;
    reg [COLS*PW-1:0] d_pos;
    reg [COLS*NW-1:0] d_win;
    reg k_valid = 0;
    reg [LANES*ROWS*WB-1:0] k_w;
    reg [LANES-1:0] k_lanes;
    reg [COLS*TWS-1:0] k_words;
    reg [COLS*LB-1:0] k_select;
    wire d_ready, k_ready, first, final_token;
    wire [ROWS*COLS-1:0] o_act, o_spike;
    wire [ROWS*COLS*PW-1:0] o_pos;

`ifdef SCANNED
`define ARRAY dut.top.array
`define STATE top.sequencer.state
    reg t_valid = 0, t_last;
    reg [SW*COLS-1:0] t_tags;
    wire t_ready;
    wire [KB-1:0] k_tap;
    reg [ROWS*WB-1:0] lbuf_w [0:2*TAPS-1];
    reg [COLS*TWS-1:0] lbuf_words [0:2*TAPS-1];
    reg half = 0;                                // of the LBUF, which the array reads

    spx_scanned #(
        .ROWS(ROWS), .COLS(COLS), .WB(WB), .SB(SB), .PB(PB), .TWS(TWS), .POS(POS), .NW(NW), .CHAIN(CHAIN),
        .ACC(ACC), .GATE(GATE), .KB(KB), .TAPS(TAPS), .SW(SW)
    ) dut (
        .clk(clk), .rst(rst), .tws(tws), .th(th), .shift(shift), .subtract(subtract), .serial(serial),
        .update_cycles(update_cycles), .drain_batches(drain_batches), .last_window(last_window),
        .last_points(last_points), .d_valid(d_valid), .d_ready(d_ready), .d_cols(d_cols), .d_last(d_last),
        .d_width(d_width), .d_clear(d_clear), .d_rows(d_rows), .d_bias(d_bias), .d_pos(d_pos), .d_win(d_win),
        .t_valid(t_valid), .t_ready(t_ready), .t_tags(t_tags), .t_last(t_last), .k_valid(), .k_ready(k_ready),
        .k_tap(k_tap), .k_w(lbuf_w[(half ? TAPS : 0) + k_tap]),
        .k_words(lbuf_words[(half ? TAPS : 0) + k_tap]),
        .o_act(o_act), .o_spike(o_spike), .o_pos(o_pos), .first(first), .final_token(final_token)
    );
`else
`define ARRAY dut.array
`define STATE sequencer.state
    spx_top #(
        .ROWS(ROWS), .COLS(COLS), .WB(WB), .SB(SB), .PB(PB), .TWS(TWS), .POS(POS), .NW(NW), .CHAIN(CHAIN),
        .ACC(ACC), .LANES(LANES), .GATE(GATE), .KB(KB)
    ) dut (
        .clk(clk), .rst(rst), .tws(tws), .th(th), .shift(shift), .subtract(subtract), .serial(serial),
        .update_cycles(update_cycles), .drain_batches(drain_batches), .last_window(last_window),
        .last_points(last_points), .d_valid(d_valid), .d_ready(d_ready),
        .d_cols(d_cols), .d_taps(d_taps), .d_last(d_last), .d_width(d_width), .d_clear(d_clear),
        .d_rows(d_rows), .d_bias(d_bias), .d_pos(d_pos), .d_win(d_win), .k_valid(k_valid), .k_ready(k_ready),
        .k_w(k_w), .k_lanes(k_lanes), .k_words(k_words), .k_select(k_select), .o_act(o_act),
        .o_spike(o_spike), .o_pos(o_pos), .first(first), .final_token(final_token)
    );
`endif

    // --- What happens in the array, seen where it happens ---------------------------------------------------

    wire [ROWS*COLS*ACC-1:0] adds;
    wire [ROWS*COLS*LANES-1:0] weights_written;
    wire [ROWS*COLS-1:0] catchups, stores;
    wire held = `ARRAY.row[0].col[0].pe.tap | `ARRAY.row[0].col[0].pe.upd;
    genvar r, c, i;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLS; c = c + 1) begin : col
                for (i = 0; i < ACC; i = i + 1) begin : bank
                    assign adds[(r*COLS+c)*ACC+i] = `ARRAY.row[r].col[c].pe.bank[i].add;
                end
                assign weights_written[(r*COLS+c)*LANES +: LANES] =
                    `ARRAY.row[r].col[c].pe.tap & `ARRAY.row[r].col[c].pe.group == 0
                    ? `ARRAY.row[r].col[c].pe.w_valid : {LANES{1'b0}};
                assign catchups[r*COLS+c] = `ARRAY.lif[r].op_row[c*OW+1];
                assign stores[r*COLS+c] = `ARRAY.lif[r].op_row[c*OW+OW-1];
            end
        end
    endgenerate

    integer log, vectors, got, x, y, m;
    integer cycle, last, idle, n_adds, n_weights, n_updates, n_catchups, n_stores, n_held;
    reg started, first_here, last_here, last_gone;

    always @(posedge clk)
        if (rst) begin
            started <= 0;
            first_here <= 0;
            last_here <= 0;
            last_gone <= 0;
            cycle <= 0;
        end else begin
            first_here <= first;
            last_here <= final_token;
            last_gone <= last_here;
            if (first_here)
                started <= 1;
            if (first_here | started)
                cycle <= cycle + 1;
            if (last_gone)
                $fwrite(log, "E %0d\n", cycle);
            if (first_here)
                $fwrite(log, "F %0d\n", cycle);
            for (m = 0; m < ROWS * COLS; m = m + 1)
                if (o_act[m] !== 1'b0) begin
                    $fwrite(log, "U %0d %0d %0d %b\n", cycle, m / COLS, o_pos[m*PW +: PW], o_spike[m]);
                    n_updates = n_updates + 1;
                    last = cycle + 1;
                end
            n_adds = n_adds + $countones(adds);
            n_weights = n_weights + $countones(weights_written);
            n_catchups = n_catchups + $countones(catchups);
            n_stores = n_stores + $countones(stores);
            n_held = n_held + {31'b0, held};
            idle = (|o_act | d_ready | k_ready) === 1'b1 ? 0 : idle + 1;
            if (idle == 65536 || ^o_act === 1'bx) begin
                $fwrite(log, "stuck\n");
                $finish;
            end
        end

    // --- Vectors: what is driven changes at falling edges, what was taken is seen at rising ones ----------

    reg [31:0] word;
    integer rows, bubbles, kind, lanes, k, b, at, m_taps;
    reg clear, d_taken, k_taken;

    always @(posedge clk) begin
        d_taken <= d_valid & d_ready;
        k_taken <= k_valid & k_ready;
    end

    task next;
        got = $fscanf(vectors, "%h", word);
    endtask

    task row_group;
        begin
            next;
            rows = word;
            d_bias = {(ROWS*SB){1'b0}};
            for (x = 0; x < rows; x = x + 1) begin
                next;
                d_bias[x*SB +: SB] = word[SB-1:0];
            end
            clear = 1;
        end
    endtask

    task tap;
        begin
            lanes = 1;
            if (LANES > 1) begin
                next;
                lanes = word;
            end
            k_lanes = (1 << lanes) - 1;
            for (k = 0; k < lanes; k = k + 1)
                for (x = 0; x < rows; x = x + 1) begin
                    if (x % 4 == 0)
                        next;
                    k_w[(k*ROWS+x)*WB +: WB] = word[8*(x%4) +: WB];
                end
            k_words = {(COLS*TWS){1'b0}};
            k_select = {(COLS*LB){1'b0}};
            for (x = 0; x < d_cols; x = x + 1) begin
                if (LANES > 1) begin
                    next;
                    k_select[x*LB +: LB] = word[LB-1:0];
                end
                next;
                k_words[x*TWS +: TWS] = word[TWS-1:0];
            end
`ifdef SCANNED
            lbuf_w[(half ? 0 : TAPS) + at] = k_w;
            lbuf_words[(half ? 0 : TAPS) + at] = k_words;
            at = at + 1;
`else
            k_valid = 1;
            @(negedge clk);
            while (!k_taken)
                @(negedge clk);
            k_valid = 0;
            if (bubbles != 0 && $urandom % bubbles == 0)
                for (b = 1 + $urandom % 3; b > 0; b = b - 1)
                    @(negedge clk);
`endif
        end
    endtask

    task batch;
        begin
            next;
            d_cols = word[$clog2(COLS+1)-1:0];
            y = word;
            next;
            d_taps = word[KB-1:0];
            kind = word;
            next;
            d_last = word[0];
            next;
            d_width = word[$clog2(COLS+1)-1:0];
            d_clear = clear;
            d_rows = rows[$clog2(ROWS+1)-1:0];
            clear = 0;
            d_pos = {(COLS*PW){1'b0}};
            d_win = {(COLS*NW){1'b0}};
            for (x = 0; x < y; x = x + 1) begin
                next;
                d_pos[x*PW +: PW] = word[PW-1:0];
                next;
                d_win[x*NW +: NW] = word[NW-1:0];
            end
`ifdef SCANNED
            at = 0;
            for (m_taps = kind; m_taps > 0; m_taps = m_taps - 1)
                tap;
            for (at = 0; at < kind || at == 0; at = at + SW) begin
                for (x = 0; x < SW; x = x + 1)
                    for (k = 0; k < COLS; k = k + 1) begin
                        k_words = lbuf_words[(half ? 0 : TAPS) + at + x];
                        t_tags[x*COLS+k] = at + x < kind && k < d_cols && k_words[k*TWS +: TWS] != 0;
                    end
                t_last = at + SW >= kind;
                t_valid = 1;
                @(negedge clk);
            end
            t_valid = 0;
            d_valid = 1;
            while (!d_taken)
                @(negedge clk);
            d_valid = 0;
            half = !half;
`else
            d_valid = 1;
            @(negedge clk);
            while (!d_taken)
                @(negedge clk);
            d_valid = 0;
            for (y = kind; y > 0; y = y - 1)
                tap;
`endif
        end
    endtask

    reg [1023:0] vectors_file, log_file;
    initial begin
        bubbles = 0;
        got = $value$plusargs("bubbles=%d", bubbles);
        if (!$value$plusargs("vectors=%s", vectors_file) || !$value$plusargs("log=%s", log_file)) begin
            $display("tb: say +vectors=FILE and +log=FILE");
            $finish;
        end
        vectors = $fopen(vectors_file, "r");
        log = $fopen(log_file, "w");
        if (vectors == 0 || log == 0) begin
            $display("tb: cannot open the vectors or the log");
            $finish;
        end
        next;
        while (word == 1) begin
            rst = 1;
            @(negedge clk);
            next;
            tws = word[$clog2(TWS+1)-1:0];
            next;
            th = $signed(word);
            next;
            shift = word[4:0];
            next;
            subtract = word[0];
            next;
            serial = word[0];
            next;
            update_cycles = word[6:0];
            next;
            drain_batches = word[0];
            next;
            last_window = word[NW-1:0];
            next;
            last_points = word[$clog2(TWS+1)-1:0];
            row_group;
            last = 0;
            idle = 0;
            n_adds = 0;
            n_weights = 0;
            n_updates = 0;
            n_catchups = 0;
            n_stores = 0;
            n_held = 0;
            @(negedge clk);
            rst = 0;
            @(negedge clk);
            next;
            while (word > 1) begin
                if (word == 3)
                    row_group;
                else
                    batch;
                next;
            end
            @(negedge clk);
            while (dut.`STATE != 0)
                @(negedge clk);
            for (x = 0; x < ROWS + COLS + 4; x = x + 1)
                @(negedge clk);
            $fwrite(log, "D %0d %0d %0d %0d %0d %0d %0d\n", last, n_adds, n_weights, n_updates, n_catchups,
                    n_stores, n_held);
        end
        $fclose(log);
        $finish;
    end
endmodule
