"""The generators: each draws a scene and annotates it."""
