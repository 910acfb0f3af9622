// Last-window table: of every position the last window issued, its column, and two flags - whether there was
// one since the row group began, and whether it was in the batch just before.
//
// Looked up by all columns of a batch at once, and written by them at the clock edge; of a position that
// comes more than once its last column stays.
module spx_window_table #(
    parameter COLS = 8,
    parameter POS  = 256,
    parameter NW   = 8,                      // bits of a window number
    parameter CB   = COLS > 1 ? $clog2(COLS) : 1,
    parameter PW   = POS > 1 ? $clog2(POS) : 1
) (
    input                    clk,
    input                    write,
    input                    clear,          // a row group starts: nothing was issued before
    input      [COLS-1:0]    use_column,
    input      [COLS*PW-1:0] pos,
    input      [COLS*NW-1:0] win,
    output     [COLS-1:0]    seen,
    output     [COLS-1:0]    recent,
    output     [COLS*NW-1:0] last,
    output     [COLS*CB-1:0] column
);
    reg [NW-1:0]  last_window [0:POS-1];
    reg [CB-1:0]  last_column [0:POS-1];
    reg [POS-1:0] was_seen;
    reg [POS-1:0] was_recent;

    genvar c;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : port
            assign seen[c] = was_seen[pos[c*PW +: PW]] & !clear;
            assign recent[c] = was_recent[pos[c*PW +: PW]];
            assign last[c*NW +: NW] = last_window[pos[c*PW +: PW]];
            assign column[c*CB +: CB] = last_column[pos[c*PW +: PW]];
        end
    endgenerate

    integer i;
    always @(posedge clk)
        if (write) begin
            was_recent <= {POS{1'b0}};
            if (clear)
                was_seen <= {POS{1'b0}};
            for (i = 0; i < COLS; i = i + 1)
                if (use_column[i]) begin
                    last_window[pos[i*PW +: PW]] <= win[i*NW +: NW];
                    last_column[pos[i*PW +: PW]] <= i[CB-1:0];
                    was_seen[pos[i*PW +: PW]] <= 1'b1;
                    was_recent[pos[i*PW +: PW]] <= 1'b1;
                end
        end
endmodule
