"""A testbench with golden vectors, for any Verilog simulator."""

from __future__ import annotations

import numpy as np

from deepwright.weightless.export.plain import Plain

_TEXT = """\
`timescale 1ns / 1ps
// Feeds one vector a cycle; votes, y and valid must be those of the network. Prints PASS or FAIL with a count.
module {name}_tb;
    reg clk = 1'b0;
    reg [{top_x}:0] x;
    wire [{top_y}:0] y;
    wire valid;
    reg [{top_x}:0] vectors [0:{last}];
    reg [{top_votes}:0] votes [0:{last}];
    reg [{top_y}:0] classes [0:{last}];
    wire [{top_votes}:0] said = {{{said}}};
    integer i, wrong;
    {name} dut(.clk(clk), .x(x), .y(y), .valid(valid));
    initial begin
{golden}
        wrong = 0;
        for (i = 0; i < {cycles}; i = i + 1) begin
            x = vectors[i < {count} ? i : {last}];
            #1;
            if (i >= {pipeline} && i < {count} + {pipeline} && said !== votes[i - {pipeline}])
                wrong = wrong + 1;
            else if (valid !== (i > {pipeline}) || (i > {pipeline} && y !== classes[i - {pipeline} - 1]))
                wrong = wrong + 1;
            clk = 1'b1;
            #1 clk = 1'b0;
        end
        if (wrong == 0)
            $display("PASS {count}");
        else
            $display("FAIL %0d", wrong);
        $finish;
    end
endmodule
"""


def bench_text(network: Plain, pipeline: int, name: str, bits: np.ndarray, votes: np.ndarray) -> str:
    """The testbench.

    Args:
        network: whose module it tests.
        pipeline: of the module.
        name: of the module.
        bits: (vectors, features) of 0 and 1.
        votes: (vectors, classes), as they should be.
    """
    wide, place, count = network.most, (network.classes - 1).bit_length(), len(bits)
    lanes = (votes[:, :, None] >> np.arange(wide)) & 1
    rows = zip(_hex(bits), _hex(lanes.reshape(count, -1)), votes.argmax(axis=1).tolist(), strict=True)
    lines = []
    for i, (x, said, best) in enumerate(rows):
        lines.append(f"        vectors[{i}] = {network.features}'h{x};")
        lines.append(f"        votes[{i}] = {network.classes * wide}'h{said};")
        lines.append(f"        classes[{i}] = {place}'d{best};")
    return _TEXT.format(
        name=name,
        top_x=network.features - 1,
        top_y=place - 1,
        top_votes=network.classes * wide - 1,
        said=", ".join(f"dut.v_{c}" for c in reversed(range(network.classes))),
        last=count - 1,
        count=count,
        cycles=count + pipeline + 1,
        pipeline=pipeline,
        golden="\n".join(lines),
    )


def _hex(bits: np.ndarray) -> list[str]:
    """Each row as hexadecimal digits, its first bit the lowest."""
    spare = -bits.shape[1] % 8
    padded = np.pad(bits.astype(np.uint8), ((0, 0), (0, spare)))[:, ::-1]
    return [row.tobytes().hex() for row in np.packbits(padded, axis=1)]
