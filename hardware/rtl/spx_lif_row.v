// The LIF units of a row: one per column, a potential register each, any-to-any hand-over between columns,
// and the row's potentials in the LBUF.
//
// An operation per column and cycle, {store, pos, src, load, live, catchup, act} from the highest bit on:
//
//   load     where the potential comes from that the operation starts with: 0 KEEP the column's register,
//            1 REST zero, 2 LBUF the word of `pos`, 3 ROW the register of column `src`
//   act      one update, whose spike leaves with the position where the time point is live: within the
//            layer's; catchup: a step of skipped windows
//   store    what is left goes to the LBUF, too
//
// All units of a row work in the same cycle, so that a potential can go to any column without a bubble.
// The loop hand-over, LIF, register cannot be pipelined: it is the clock period of the array.
module spx_lif_row #(
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
    input                  clk,
    input  [COLS*OW-1:0]   op,               // of this cycle
    input  [COLS-1:0]      fetch,            // of the next: what it loads from the LBUF
    input  [COLS*PW-1:0]   fetch_at,
    input  [COLS*SB-1:0]   sums,
    input  signed [SB-1:0] bias,
    input  signed [PB:0]   th,
    input  [4:0]           shift,
    input                  subtract,
    input  [TB-1:0]        tws,
    output [COLS-1:0]      act,
    output [COLS-1:0]      spike,
    output [COLS*PW-1:0]   pos
);
    localparam [1:0] REST = 1, LBUF = 2, ROW = 3;

    reg  [COLS*PB-1:0] held;
    wire [COLS*PB-1:0] fetched;
    wire [COLS*PB-1:0] left;
    wire [COLS-1:0]    store;

    spx_potentials #(.PORTS(COLS), .PB(PB), .POS(POS)) lbuf (
        .clk(clk), .read(fetch), .read_at(fetch_at), .value(fetched),
        .write(store), .write_at(pos), .given(left)
    );

    always @(posedge clk) held <= left;

    genvar c;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : col
            wire [1:0]    load = op[c*OW+3 +: 2];
            wire [CB-1:0] src = op[c*OW+5 +: CB];
            wire signed [PB-1:0] u = load == REST ? {PB{1'b0}}
                                   : load == LBUF ? fetched[c*PB +: PB]
                                   : load == ROW ? held[src*PB +: PB] : held[c*PB +: PB];
            wire fired;
            assign act[c] = op[c*OW];
            assign spike[c] = fired & op[c*OW+2];
            assign pos[c*PW +: PW] = op[c*OW+5+CB +: PW];
            assign store[c] = op[c*OW+OW-1];

            spx_lif #(.PB(PB), .SB(SB), .TWS(TWS), .CHAIN(CHAIN)) lif (
                .act(op[c*OW]), .catchup(op[c*OW+1]), .u(u), .sum(sums[c*SB +: SB]), .bias(bias), .th(th),
                .shift(shift), .subtract(subtract), .tws(tws),
                .u_next(left[c*PB +: PB]), .spike(fired)
            );
        end
    endgenerate
endmodule
