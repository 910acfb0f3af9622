// Deskew line: a word, `tap` clock cycles later, 0 to DEPTH. A tap of the register of that number.
module spx_line #(
    parameter W     = 24,
    parameter DEPTH = 7,
    parameter DB    = DEPTH > 0 ? $clog2(DEPTH + 1) : 1
) (
    input           clk,
    input  [DB-1:0] tap,
    input  [W-1:0]  d,
    output [W-1:0]  q
);
    genvar i;
    generate
        if (DEPTH == 0) begin : wire_only
            wire unused = &{1'b0, clk, tap};
            assign q = d;
        end else begin : registers
            for (i = 0; i <= DEPTH; i = i + 1) begin : stage
                wire [W-1:0] value;
                wire [W-1:0] seen;
                if (i == 0) begin : first
                    assign value = d;
                    assign seen = d;
                end else begin : further
                    reg [W-1:0] held;
                    always @(posedge clk) held <= registers.stage[i-1].value;
                    assign value = held;
                    assign seen = tap == i ? value : registers.stage[i-1].seen;
                end
            end
            assign q = stage[DEPTH].seen;
        end
    endgenerate
endmodule
