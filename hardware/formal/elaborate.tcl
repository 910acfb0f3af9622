# Elaborate a module of the RTL with its properties, for yosys-smtbmc.
#
#   yosys -q -p "tcl hardware/formal/elaborate.tcl RTL MODULE OUT [PARAMETER=VALUE]..."
#
# RTL is the folder of the sources, MODULE spx_pe or spx_lif_row, OUT the SMT-LIB file to write.
yosys -import

lassign $argv rtl module out
set formal [file dirname [file normalize [info script]]]
set top ${module}_formal

set given {}
array set value {}
foreach pair [lrange $argv 3 end] {
    lassign [split $pair =] name number
    lappend given -chparam $name $number
    set value($name) $number
}

proc parameter {name default} {
    global value
    return [expr {[info exists value($name)] ? $value($name) : $default}]
}

read_verilog -formal $formal/$top.v
hierarchy -check -libdir $rtl -top $top {*}$given
yosys proc

# Registers that no port shows, from the highest index down as in a concatenation.
if {$module eq "spx_pe"} {
    set acc [parameter ACC 1]
    set points [expr {([parameter TWS 4] + $acc - 1) / $acc * $acc}]
    set words {}
    for {set t [expr {$points - 1}]} {$t >= 0} {incr t -1} {
        lappend words "\\dut.bank\[[expr {$t % $acc}]\].sum\[[expr {$t / $acc}]\]"
    }
    memory_map
    flatten
    connect -nomap -nounset -set sums [join $words ,]
} else {
    flatten
    connect -nomap -nounset -set held {\dut.held}
    memory -nomap
}
opt_clean
write_smt2 -wires $out
