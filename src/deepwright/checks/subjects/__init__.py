"""What every check looks at: a network, its data and task, made from loaders, with the simple models beside it."""
