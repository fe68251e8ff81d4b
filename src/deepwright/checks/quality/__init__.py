"""What is wrong with the data: copies, wrong labels, weak slices, drift, and gaps between groups."""
