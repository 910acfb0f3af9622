// LIF unit, combinational: one update, or one step of the catch-up of skipped windows.
//
//   act      v = saturate(leak(u) + sum + bias); it fires above the threshold; what it keeps is v, 0 or,
//            after a soft reset, saturate(v - th)
//   catchup  CHAIN = 1: the tws leaks of a skipped window, in series; CHAIN = 0: one leak
//   else     u passes
//
// leak(u) = u - (u >>> shift). Only v and the rest saturate: the sum of weights does not.
module spx_lif #(
    parameter PB    = 16,                    // bits of a potential
    parameter SB    = 24,                    // bits of a partial sum and of a bias
    parameter TWS   = 4,                     // largest window, time points
    parameter CHAIN = 1,
    parameter TB    = $clog2(TWS + 1)
) (
    input                   act,
    input                   catchup,
    input  signed [PB-1:0]  u,
    input  signed [SB-1:0]  sum,
    input  signed [SB-1:0]  bias,
    input  signed [PB:0]    th,              // clipped: above every potential, or below
    input  [4:0]            shift,
    input                   subtract,        // soft reset
    input  [TB-1:0]         tws,
    output signed [PB-1:0]  u_next,
    output                  spike
);
    localparam VB = (SB > PB ? SB : PB) + 2; // leak(u) + sum + bias cannot overflow
    localparam signed [VB-1:0] LOW = {{(VB-PB+1){1'b1}}, {(PB-1){1'b0}}};
    localparam signed [VB-1:0] HIGH = ~LOW;
    localparam STEPS = CHAIN == 1 ? TWS : 1;

    wire signed [PB-1:0] leaked = u - (u >>> shift);

    genvar i;
    generate
        for (i = 0; i < STEPS; i = i + 1) begin : step
            wire signed [PB-1:0] after;
            if (i == 0) begin : first
                assign after = leaked;
            end else begin : further
                wire signed [PB-1:0] before_it = step[i-1].after;
                assign after = i < tws ? before_it - (before_it >>> shift) : before_it;
            end
        end
    endgenerate

    generate
        if (STEPS == 1) begin : any_window
            wire unused = &{1'b0, tws};
        end
    endgenerate

    wire signed [VB-1:0] leaked_wide = {{(VB-PB){leaked[PB-1]}}, leaked};
    wire signed [VB-1:0] sum_wide = {{(VB-SB){sum[SB-1]}}, sum};
    wire signed [VB-1:0] bias_wide = {{(VB-SB){bias[SB-1]}}, bias};
    wire signed [VB-1:0] th_wide = {{(VB-PB-1){th[PB]}}, th};

    wire signed [VB-1:0] raised = leaked_wide + sum_wide + bias_wide;
    wire signed [VB-1:0] v = raised > HIGH ? HIGH : raised < LOW ? LOW : raised;
    wire signed [VB-1:0] left = v - th_wide;
    wire [PB-1:0] rest = left > HIGH ? HIGH[PB-1:0] : left < LOW ? LOW[PB-1:0] : left[PB-1:0];
    wire fires = v > th_wide;

    assign spike = act & fires;
    assign u_next = act ? (!fires ? v[PB-1:0] : subtract ? rest : {PB{1'b0}}) : catchup ? step[STEPS-1].after : u;
endmodule
