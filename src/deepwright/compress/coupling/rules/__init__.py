"""What each operation does to axis labels, by kind: `contract`, `pointwise`, `shape`; `table` has all of them."""
