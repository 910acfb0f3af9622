// A word, N clock cycles later (N may be 0): the lanes that skew what enters the array at its edges.
module spx_delay #(
    parameter W = 8,
    parameter N = 1
) (
    input          clk,
    input          rst,
    input  [W-1:0] d,
    output [W-1:0] q
);
    genvar i;
    generate
        if (N == 0) begin : wire_only
            wire unused = &{1'b0, clk, rst};
            assign q = d;
        end else begin : registers
            for (i = 0; i < N; i = i + 1) begin : stage
                reg [W-1:0] held;
                if (i == 0) begin : first
                    always @(posedge clk) held <= rst ? {W{1'b0}} : d;
                end else begin : further
                    always @(posedge clk) held <= rst ? {W{1'b0}} : registers.stage[i-1].held;
                end
            end
            assign q = stage[N-1].held;
        end
    endgenerate
endmodule
