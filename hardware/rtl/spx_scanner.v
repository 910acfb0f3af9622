// Tag scanner: finds the next active tap of a batch, so that no list of taps is handed to the array.
//
// The tags of a batch come in words of SW taps, a bit for every column that has a spike there; their OR stays,
// one bit per tap. The next batch is read and counted while the array works on this one:
//
//   t_valid, t_ready, t_tags, t_last   words of tags, ascending; t_last ends a batch
//   n_valid, n_taps, n_take            a batch is read, and has so many taps; n_take makes it the current one
//   s_valid, s_tap, s_ready            the lowest tap of the current batch that was not taken yet
//
// A tap costs no cycle as long as reading a batch, taps / SW cycles, takes no longer than the batch before it.
module spx_scanner #(
    parameter COLS  = 8,
    parameter TAPS  = 64,                    // most taps of a layer, a multiple of SW
    parameter SW    = 32,                    // taps whose tags are read in a cycle
    parameter KB    = 16,                    // bits of a number of taps
    parameter WORDS = TAPS / SW
) (
    input                clk,
    input                rst,
    input                t_valid,
    output               t_ready,
    input  [SW*COLS-1:0] t_tags,             // tap by tap
    input                t_last,
    output               n_valid,
    output [KB-1:0]      n_taps,
    input                n_take,
    output               s_valid,
    output [KB-1:0]      s_tap,
    input                s_ready
);
    reg [TAPS-1:0] coming, current;
    reg [KB-1:0]   count, at_word;
    reg            whole;                    // `coming` is all of a batch

    assign t_ready = !whole;
    assign n_valid = whole;
    assign n_taps = count;

    // --- Reading: the OR of each tap's tags, and how many there are ---------------------------------------

    reg [SW-1:0] active;
    reg [KB-1:0] more;
    integer i;
    always @* begin
        more = {KB{1'b0}};
        for (i = 0; i < SW; i = i + 1) begin
            active[i] = |t_tags[i*COLS +: COLS];
            more = more + {{(KB-1){1'b0}}, active[i]};
        end
    end

    // --- Finding: the lowest word that is not empty, and the lowest tap in it ------------------------------

    reg [KB-1:0] word, place;
    reg [SW-1:0] bits;
    integer w, b;
    always @* begin
        word = {KB{1'b0}};
        for (w = WORDS - 1; w >= 0; w = w - 1)
            if (|current[w*SW +: SW])
                word = w[KB-1:0];
        bits = {SW{1'b0}};
        for (w = 0; w < WORDS; w = w + 1)
            if (word == w[KB-1:0])
                bits = current[w*SW +: SW];
        place = {KB{1'b0}};
        for (b = SW - 1; b >= 0; b = b - 1)
            if (bits[b])
                place = b[KB-1:0];
    end
    assign s_valid = |bits;
    assign s_tap = word * SW[KB-1:0] + place;

    integer k;
    always @(posedge clk)
        if (rst) begin
            coming <= {TAPS{1'b0}};
            current <= {TAPS{1'b0}};
            count <= {KB{1'b0}};
            at_word <= {KB{1'b0}};
            whole <= 1'b0;
        end else if (n_take) begin
            current <= coming;
            coming <= {TAPS{1'b0}};
            count <= {KB{1'b0}};
            at_word <= {KB{1'b0}};
            whole <= 1'b0;
        end else begin
            for (k = 0; k < TAPS; k = k + 1)
                if (s_valid & s_ready & s_tap == k[KB-1:0])
                    current[k] <= 1'b0;
            if (t_valid & t_ready) begin
                for (k = 0; k < WORDS; k = k + 1)
                    if (at_word == k[KB-1:0])
                        coming[k*SW +: SW] <= active;
                count <= count + more;
                at_word <= at_word + 1'b1;
                whole <= t_last;
            end
        end
endmodule
