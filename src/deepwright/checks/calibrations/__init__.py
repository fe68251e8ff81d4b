"""What a network claims of labels, pixels, boxes and numbers, against what comes true: one kind of claim a file."""
