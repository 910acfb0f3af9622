// ROWS x COLS PEs, the lanes that skew what enters, the lines that deskew what leaves, a row of LIF units each.
//
// A column's sums go through width - 1 - c registers, so that all LIF units of a row work in the same cycle:
// one control pipeline serves them all, width - 1 registers for the first row and one more for each row.
//
//   cycle        0   1   2   3   4   5   6   7   8       2 x 2, tws 2, two taps a and b, width 2
//   sequencer  a.0 a.1 b.0 b.1 u.0 u.1  -   -  next
//   PE (0,0)       a.0 a.1 b.0 b.1 u.0 u.1
//   PE (1,1)               a.0 a.1 b.0 b.1 u.0 u.1
//   LIF row 0                          U.0 U.1
//   LIF row 1                              U.0 U.1
//
// `width`, `rows` and `bias` are those of the token that the sequencer shows; here they change a register
// later, with PE (0,0), when the last row has used the old ones for the last time.
module spx_array #(
    parameter ROWS  = 8,
    parameter COLS  = 8,
    parameter WB    = 8,
    parameter SB    = 24,
    parameter PB    = 16,
    parameter TWS   = 4,
    parameter POS   = 256,
    parameter CHAIN = 1,
    parameter ACC   = 1,
    parameter LANES = 1,
    parameter GATE  = 1,
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
    input  signed [PB:0]       th,
    input  [4:0]               shift,
    input                      subtract,
    // wavefront
    input                      tap,
    input                      upd,
    input  [COLS*GB-1:0]       groups,
    input  [COLS-1:0]          use_column,
    input  [COLS*ACC-1:0]      bits,
    input  [COLS*LB-1:0]       select,
    input  [LANES*ROWS*WB-1:0] w,
    input  [LANES-1:0]         lanes,
    input  [COLS*OW-1:0]       op,
    input  [CN-1:0]            width,
    input  [RN-1:0]            rows,
    input  [ROWS*SB-1:0]       bias,
    // what the LIF units did in this cycle
    output [ROWS*COLS-1:0]     o_act,
    output [ROWS*COLS-1:0]     o_spike,
    output [ROWS*COLS*PW-1:0]  o_pos
);
    localparam [1:0] LBUF = 2;

    reg [CN-1:0]      width_here;
    // verilator lint_off UNUSEDSIGNAL
    reg [RN-1:0]      rows_here;                 // of one row always in use
    // verilator lint_on UNUSEDSIGNAL
    reg [ROWS*SB-1:0] bias_here;
    always @(posedge clk) begin
        width_here <= width;
        rows_here <= rows;
        bias_here <= bias;
    end

    genvar r, c, k;
    generate
        // --- Edges ------------------------------------------------------------------------------------------

        for (r = 0; r < ROWS; r = r + 1) begin : left
            wire [LANES*WB-1:0] w_row, w_in;
            wire [LANES-1:0] valid_in;
            for (k = 0; k < LANES; k = k + 1) begin : lane
                assign w_row[k*WB +: WB] = w[(k*ROWS+r)*WB +: WB];
            end
            spx_delay #(.W(LANES * (WB + 1)), .N(r)) skew (
                .clk(clk), .rst(rst),
                .d({r < rows && (tap || upd) ? lanes : {LANES{1'b0}}, w_row}), .q({valid_in, w_in})
            );
        end
        for (c = 0; c < COLS; c = c + 1) begin : top
            wire tap_in, upd_in;
            wire [GB-1:0] group_in;
            wire [ACC-1:0] bits_in;
            wire [LB-1:0] select_in;
            spx_delay #(.W(2 + GB + ACC + LB), .N(c)) skew (
                .clk(clk), .rst(rst),
                .d({tap & use_column[c], upd & use_column[c], groups[c*GB +: GB], bits[c*ACC +: ACC],
                    select[c*LB +: LB]}),
                .q({tap_in, upd_in, group_in, bits_in, select_in})
            );
        end

        // --- PEs --------------------------------------------------------------------------------------------

        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLS; c = c + 1) begin : col
                wire [LANES*WB-1:0] w_in;
                wire [LANES-1:0] valid_in;
                wire tap_in, upd_in;
                wire [GB-1:0] group_in;
                wire [ACC-1:0] bits_in;
                wire [LB-1:0] select_in;
                wire [SB-1:0] rd;
                // verilator lint_off UNUSEDSIGNAL
                wire [LANES*WB-1:0] w_out;           // of the last row and column to nobody
                wire [LANES-1:0] valid_out;
                wire tap_out, upd_out;
                wire [GB-1:0] group_out;
                wire [ACC-1:0] bits_out;
                wire [LB-1:0] select_out;
                // verilator lint_on UNUSEDSIGNAL
                if (c == 0) begin : leftmost
                    assign w_in = left[r].w_in;
                    assign valid_in = left[r].valid_in;
                end else begin : from_left
                    assign w_in = row[r].col[c-1].w_out;
                    assign valid_in = row[r].col[c-1].valid_out;
                end
                if (r == 0) begin : topmost
                    assign tap_in = top[c].tap_in;
                    assign upd_in = top[c].upd_in;
                    assign group_in = top[c].group_in;
                    assign bits_in = top[c].bits_in;
                    assign select_in = top[c].select_in;
                end else begin : from_above
                    assign tap_in = row[r-1].col[c].tap_out;
                    assign upd_in = row[r-1].col[c].upd_out;
                    assign group_in = row[r-1].col[c].group_out;
                    assign bits_in = row[r-1].col[c].bits_out;
                    assign select_in = row[r-1].col[c].select_out;
                end
                spx_pe #(.WB(WB), .SB(SB), .TWS(TWS), .ACC(ACC), .LANES(LANES), .GATE(GATE)) pe (
                    .clk(clk), .rst(rst), .tws(tws), .w_in(w_in), .w_valid_in(valid_in), .tap_in(tap_in),
                    .upd_in(upd_in), .group_in(group_in), .bits_in(bits_in), .select_in(select_in),
                    .w(w_out), .w_valid(valid_out), .tap(tap_out), .upd(upd_out), .group(group_out),
                    .bits(bits_out), .select(select_out), .rd(rd)
                );
            end
        end

        // --- Deskew, control pipeline, LIF units -------------------------------------------------------------

        for (k = 0; k < COLS; k = k + 1) begin : control
            reg [COLS*OW-1:0] held;
            wire [COLS*OW-1:0] seen, ahead;      // operations of row 0, and those of its next cycle
            if (k == 0) begin : first
                always @(posedge clk) held <= rst ? {(COLS*OW){1'b0}} : op;
                assign seen = held;
                assign ahead = op;
            end else begin : further
                // behind the width in use nothing goes on, or a wider tile would see it again
                always @(posedge clk)
                    held <= !rst & k < width_here ? control[k-1].held : {(COLS*OW){1'b0}};
                assign seen = k < width_here ? held : control[k-1].seen;
                assign ahead = k < width ? control[k-1].held : control[k-1].ahead;
            end
        end
        for (r = 0; r < ROWS; r = r + 1) begin : lif
            // verilator lint_off UNUSEDSIGNAL
            wire [COLS*OW-1:0] op_ahead;             // of which only what is loaded matters
            // verilator lint_on UNUSEDSIGNAL
            wire [COLS*OW-1:0] op_row;
            wire [COLS*SB-1:0] sums;
            wire [COLS-1:0] fetch;
            wire [COLS*PW-1:0] fetch_at;
            if (r == 0) begin : topmost
                assign op_row = control[COLS-1].seen;
                assign op_ahead = control[COLS-1].ahead;
            end else begin : from_above
                reg [COLS*OW-1:0] held;
                wire [COLS*OW-1:0] above = r < rows_here ? lif[r-1].op_row : {(COLS*OW){1'b0}};
                always @(posedge clk) held <= rst ? {(COLS*OW){1'b0}} : above;
                assign op_row = held;
                assign op_ahead = above;
            end
            for (c = 0; c < COLS; c = c + 1) begin : column
                localparam DEPTH = COLS - 1 - c;
                localparam DB = DEPTH > 0 ? $clog2(DEPTH + 1) : 1;
                // verilator lint_off WIDTH
                wire [DB-1:0] behind = c < width_here ? width_here - 1 - c : 0;
                // verilator lint_on WIDTH
                spx_line #(.W(SB), .DEPTH(DEPTH)) deskew (
                    .clk(clk), .tap(behind), .d(row[r].col[c].rd), .q(sums[c*SB +: SB])
                );
                assign fetch[c] = op_ahead[c*OW+3 +: 2] == LBUF;
                assign fetch_at[c*PW +: PW] = op_ahead[c*OW+5+CB +: PW];
            end
            spx_lif_row #(.COLS(COLS), .PB(PB), .SB(SB), .TWS(TWS), .POS(POS), .CHAIN(CHAIN)) units (
                .clk(clk), .op(op_row), .fetch(fetch), .fetch_at(fetch_at), .sums(sums),
                .bias(bias_here[r*SB +: SB]), .th(th), .shift(shift), .subtract(subtract), .tws(tws),
                .act(o_act[r*COLS +: COLS]), .spike(o_spike[r*COLS +: COLS]),
                .pos(o_pos[r*COLS*PW +: COLS*PW])
            );
        end
    endgenerate
endmodule
