"""The user's own files: archives and folders of pictures, arrays, tables, boxes, and the order of their classes."""
